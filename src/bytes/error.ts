/**
 * The one error family of hotpack. Errors are recognised by `code`, never by class or message;
 * only `src/http` turns a code into a status. What a caller can expect (absent, stale, lost a race)
 * is a returned union and never one of these.
 */
export type ErrorCode =
  | 'invalid_argument' // a caller inside hotpack broke a contract
  | 'malformed_pkt_line'
  | 'malformed_request' // a client's request that parses as no git request
  | 'malformed_pack' // pack, idx, rev or object bytes that break their format
  | 'limit_exceeded' // a count or length from outside above its bound
  | 'missing_object' // an object that must be there is not
  | 'not_our_ref' // a wanted object that may not or cannot be served
  | 'unknown_ref' // a named ref (want-ref, deepen-not) that does not exist
  | 'unsupported' // well-formed, but not something hotpack does
  | 'upstream_denied' // upstream said no (401, 403, 404): detail.status
  | 'upstream_throttled' // 429, or 401 on a POST after a 200 on the GET
  | 'upstream_unavailable' // refused, hanging, 5xx
  | 'upstream_refused' // an ERR packet or side-band 3: detail.message has upstream's words
  | 'timeout'
  | 'aborted'
  | 'storage_unavailable'
  | 'shutting_down';

export class HotpackError extends Error {
  override readonly name = 'HotpackError';
  readonly code: ErrorCode;
  /** Plain data that names the argument, what was expected, what came. Never a secret. */
  readonly detail: Readonly<Record<string, unknown>>;

  constructor(
    code: ErrorCode,
    message: string,
    options: { readonly detail?: Readonly<Record<string, unknown>>; readonly cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.code = code;
    this.detail = options.detail ?? {};
  }
}

/** True where `error` is of hotpack's family and, if given, has that code. */
export function isHotpackError(error: unknown, code?: ErrorCode): error is HotpackError {
  return error instanceof HotpackError && (code === undefined || error.code === code);
}
