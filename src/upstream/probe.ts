/**
 * Reads `info/refs` as git's client does: by its content type it is smart, or else dumb HTTP (gitprotocol-http,
 * "Discovering References").
 */
import { isHotpackError } from '../bytes/error.ts';
import { concatBytes, iterateStream } from '../bytes/streams.ts';
import { parseAdvertisement, type AdvertisementAnswer } from '../protocol/capabilities/advertisement.ts';
import { objectFormatOf, parseCapability, type Capabilities } from '../protocol/capabilities/capability.ts';
import { relayedFields } from './exchange/answer.ts';
import type { Failure, ProbeOk } from './contract.ts';
import type { OkAnswer } from './exchange/judgement.ts';

/** A v0 list of some 500,000 refs. What is longer is not kept; its capabilities are. */
const MAX_ADVERTISEMENT_BYTES = 32 * 1024 * 1024;

export async function readProbe(answer: OkAnswer, now: () => number): Promise<ProbeOk | Failure> {
  const contentType = answer.response.headers.get('content-type') ?? '';
  if (contentType.split(';', 1)[0]?.trim().toLowerCase() !== 'application/x-git-upload-pack-advertisement') {
    await answer.body.cancel();
    return { kind: 'ok', transport: { kind: 'dumb' }, objectFormat: 'sha1' };
  }
  try {
    const { bytes, whole } = await readHead(answer.body, MAX_ADVERTISEMENT_BYTES);
    const first = firstLineCapabilities(bytes);
    // Names of another length, or a list that is not all here: what its first line says is enough to pass it through.
    if (first !== undefined && (!whole || objectFormatOf(first) !== 'sha1')) {
      return { kind: 'ok', transport: { kind: 'v0', capabilities: first }, objectFormat: objectFormatOf(first) };
    }
    return understood(parseAdvertisement(bytes), answer.response, bytes);
  } catch (error) {
    if (isHotpackError(error, 'aborted')) throw error;
    const timedOut = isHotpackError(error, 'timeout');
    const message = isHotpackError(error) ? error.message : 'info/refs could not be read';
    return { kind: 'unavailable', reason: timedOut ? 'timeout' : 'malformed', message, retryAtMs: now() };
  }
}

function understood(answer: AdvertisementAnswer, response: Response, bytes: Uint8Array): ProbeOk | Failure {
  if (answer.kind === 'error') {
    // Upstream's own words, in the form in which git shows them: relayed as they came.
    return {
      kind: 'denied',
      answer: { status: response.status, headers: relayedFields(response.headers), body: bytes },
    };
  }
  const { advertisement } = answer;
  const { capabilities } = advertisement;
  const objectFormat = objectFormatOf(capabilities);
  if (advertisement.version === 2) return { kind: 'ok', transport: { kind: 'v2', capabilities }, objectFormat };
  const { refs, shallows } = advertisement;
  const shallow = shallows.length > 0 ? { isShallow: true } : {};
  return { kind: 'ok', transport: { kind: 'v0', capabilities, refs, ...shallow }, objectFormat };
}

/** Capabilities behind the NUL of the first ref, if that is within the first 64 KiB. */
function firstLineCapabilities(bytes: Uint8Array): Capabilities | undefined {
  const head = bytes.subarray(0, 65_536);
  const nul = head.indexOf(0);
  const end = head.indexOf(0x0a, nul);
  if (nul < 0 || end < 0) return undefined;
  const words = new TextDecoder().decode(head.subarray(nul + 1, end)).split(' ');
  return words.filter((word) => word !== '').map(parseCapability);
}

async function readHead(
  body: ReadableStream<Uint8Array>,
  maxBytes: number,
): Promise<{ readonly bytes: Uint8Array; readonly whole: boolean }> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of iterateStream(body)) {
    if (length + chunk.length > maxBytes) return { bytes: concatBytes(parts, length), whole: false };
    parts.push(chunk);
    length += chunk.length;
  }
  return { bytes: concatBytes(parts, length), whole: true };
}
