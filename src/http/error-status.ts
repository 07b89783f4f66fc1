/**
 * The one table from our errors to what a client is told. `in_band`: the request was understood as Git, so the answer
 * is 200 with an `ERR` packet, which git prints as `remote error: …` (gitprotocol-pack, "error-line"); elsewhere a
 * status with a line of text, which git prints from 4xx and 5xx as well.
 */
import type { ErrorCode } from '../bytes/error.ts';

export interface ErrorPlace {
  readonly status: number;
  readonly inBand: boolean;
  /** Whether the error's own message is for clients; else they get the status's name. */
  readonly speaks: boolean;
}

const PLACES: Readonly<Record<ErrorCode, ErrorPlace>> = {
  invalid_argument: { status: 500, inBand: false, speaks: false },
  malformed_pkt_line: { status: 400, inBand: false, speaks: true },
  malformed_request: { status: 400, inBand: true, speaks: true },
  malformed_pack: { status: 502, inBand: true, speaks: false },
  limit_exceeded: { status: 413, inBand: false, speaks: true },
  missing_object: { status: 500, inBand: true, speaks: false },
  not_our_ref: { status: 404, inBand: true, speaks: true },
  unknown_ref: { status: 404, inBand: true, speaks: true },
  unsupported: { status: 501, inBand: true, speaks: true },
  upstream_denied: { status: 403, inBand: false, speaks: true },
  upstream_throttled: { status: 503, inBand: false, speaks: true },
  upstream_unavailable: { status: 503, inBand: false, speaks: true },
  upstream_refused: { status: 502, inBand: true, speaks: true },
  timeout: { status: 503, inBand: false, speaks: true },
  aborted: { status: 503, inBand: false, speaks: false },
  storage_unavailable: { status: 503, inBand: false, speaks: false },
  shutting_down: { status: 503, inBand: false, speaks: true },
};

export function placeOfError(code: ErrorCode): ErrorPlace {
  return PLACES[code];
}
