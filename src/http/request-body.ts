/** The body of a `git-upload-pack` request, decoded, never more than its bound in memory. */
import { HotpackError, isHotpackError } from '../bytes/error.ts';
import type { RequestHeaders } from './arrival.ts';
import { type ArrivingBody, bodyTooLarge, readBounded } from './arriving-body.ts';

export type RequestBody =
  | { readonly kind: 'body'; readonly bytes: Uint8Array }
  | { readonly kind: 'refused'; readonly status: 400 | 413 | 415; readonly reason: string };

/**
 * Reads at most `maxBytes`, of what came and of what came out of it: a few KiB of gzip can hold gigabytes. Rejects with
 * `aborted` where the signal fires.
 */
export async function readRequestBody(
  request: { readonly headers: RequestHeaders; readonly body: ArrivingBody },
  maxBytes: number,
  signal: AbortSignal,
): Promise<RequestBody> {
  const encoding = (request.headers.get('content-encoding') ?? 'identity').trim().toLowerCase();
  const gzip = encoding === 'gzip' || encoding === 'x-gzip';
  if (!gzip && encoding !== 'identity') {
    return { kind: 'refused', status: 415, reason: 'the body is neither plain nor gzip' };
  }
  const tooLarge: RequestBody = {
    kind: 'refused',
    status: 413,
    reason: `the request is larger than ${maxBytes} bytes`,
  };
  const declared = Number(request.headers.get('content-length') ?? 0);
  if (declared > maxBytes) return tooLarge;
  try {
    const coded = gzip ? request.body.stream() : null;
    const bytes =
      coded === null
        ? await request.body.readAll(maxBytes, signal)
        : await readBounded(gunzip(coded, maxBytes), maxBytes, signal);
    return { kind: 'body', bytes };
  } catch (error) {
    if (isHotpackError(error, 'limit_exceeded')) return tooLarge;
    if (isHotpackError(error)) throw error;
    if (signal.aborted)
      throw new HotpackError('aborted', 'the client left while it sent its request', { cause: error });
    return { kind: 'refused', status: 400, reason: gzip ? 'the body is no whole gzip stream' : 'the body broke off' };
  }
}

function gunzip(body: ReadableStream<Uint8Array>, maxBytes: number): ReadableStream<Uint8Array> {
  // The sum of what came is bounded too: gzip may hold members that decode to nothing, without end.
  let taken = 0;
  const bounded = new TransformStream<Uint8Array, Uint8Array<ArrayBuffer>>({
    transform(chunk, controller) {
      taken += chunk.length;
      if (taken > maxBytes) controller.error(bodyTooLarge(maxBytes));
      else controller.enqueue(chunk as Uint8Array<ArrayBuffer>);
    },
  });
  return body.pipeThrough(bounded).pipeThrough(new DecompressionStream('gzip'));
}
