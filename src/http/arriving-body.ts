/** A request's body that has not been read. Nothing is touched before it is asked for; whoever does not ask leaves it where it is. */
import { HotpackError } from '../bytes/error.ts';
import { concatBytes, iterateStream } from '../bytes/streams.ts';
import { shieldedBody } from './shielded-body.ts';

export interface ArrivingBody {
  /** As it comes; null where the method has none. It may be given up at any moment. */
  stream(): ReadableStream<Uint8Array> | null;
  /** Whole. Rejects with `limit_exceeded`, with `aborted` where the signal fires, with anything else where it breaks off. */
  readAll(maxBytes: number, signal: AbortSignal): Promise<Uint8Array>;
}

export function arrivingBody(request: Request): ArrivingBody {
  return {
    stream: () => shieldedBody(request),
    async readAll(maxBytes, signal) {
      const body = shieldedBody(request);
      return body === null ? new Uint8Array(0) : readBounded(body, maxBytes, signal);
    },
  };
}

export async function readBounded(
  body: ReadableStream<Uint8Array>,
  maxBytes: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of iterateStream(body, signal)) {
    length += chunk.length;
    if (length > maxBytes) throw bodyTooLarge(maxBytes);
    parts.push(chunk);
  }
  return concatBytes(parts, length);
}

export function bodyTooLarge(maxBytes: number): HotpackError {
  return new HotpackError('limit_exceeded', `the request is larger than ${maxBytes} bytes`, { detail: { maxBytes } });
}
