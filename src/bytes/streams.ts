/**
 * Between web streams and async iterables. Whoever stops early stops the source: leaving a `for await` cancels the
 * stream, cancelling a stream returns the iterator. Nothing here holds more than one chunk, but for what its name says.
 */
import { abortError, raceSignal } from './abort.ts';
import { HotpackError } from './error.ts';

/**
 * Chunks of `stream`, in order. Leaving early (break, throw, return) cancels the stream; so does the signal, which rejects the
 * pending read. The stream is locked until then.
 */
export async function* iterateStream(
  stream: ReadableStream<Uint8Array>,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  const reader = stream.getReader();
  let ended = false;
  try {
    while (true) {
      if (signal?.aborted === true) throw abortError(signal);
      const { done, value } = await raceSignal(reader.read(), signal);
      if (done) {
        ended = true;
        return;
      }
      yield value;
    }
  } finally {
    // Not awaited: a source that hangs in `cancel` must not hang whoever leaves.
    if (!ended) reader.cancel(signal?.aborted === true ? signal.reason : undefined).catch(() => undefined);
    reader.releaseLock();
  }
}

/**
 * A stream that pulls from `iterable` as it is read: nothing is read ahead. Cancelling it returns the iterator; an
 * error of the iterator errors the stream.
 */
export function streamFrom(iterable: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): ReadableStream<Uint8Array> {
  let iterator: AsyncIterator<Uint8Array> | Iterator<Uint8Array> | undefined;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        iterator ??= Symbol.asyncIterator in iterable ? iterable[Symbol.asyncIterator]() : iterable[Symbol.iterator]();
        const { done, value } = await iterator.next();
        if (done === true) controller.close();
        else controller.enqueue(value);
      },
      async cancel() {
        await iterator?.return?.();
      },
    },
    // The default of 1 would call `pull` before anyone reads.
    { highWaterMark: 0 },
  );
}

/** All bytes of `chunks` in one array; more than `maxBytes` is `limit_exceeded`, and the source is stopped. */
export async function readAllBytes(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  maxBytes: number,
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of chunks) {
    bytes += chunk.length;
    if (bytes > maxBytes) {
      throw new HotpackError('limit_exceeded', `more than ${maxBytes} bytes`, { detail: { maxBytes } });
    }
    parts.push(chunk);
  }
  return concatBytes(parts, bytes);
}

/** As `readAllBytes`, of a stream. */
export function readAllStream(
  stream: ReadableStream<Uint8Array>,
  maxBytes: number,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  return readAllBytes(iterateStream(stream, signal), maxBytes);
}

/** `parts` joined; a single part is returned as it is. `bytes` is their summed length, if it is known. */
export function concatBytes(parts: readonly Uint8Array[], bytes?: number): Uint8Array {
  const only = parts[0];
  if (parts.length === 1 && only !== undefined) return only;
  let total = bytes ?? 0;
  if (bytes === undefined) for (const part of parts) total += part.length;
  const joined = new Uint8Array(total);
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}

/** The same bytes in chunks of at least `minBytes`, the last excepted; larger chunks pass as they are, empty ones are dropped. */
export async function* atLeast(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  minBytes: number,
): AsyncGenerator<Uint8Array, void, void> {
  let parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of chunks) {
    if (chunk.length === 0) continue;
    parts.push(chunk);
    bytes += chunk.length;
    if (bytes >= minBytes) {
      const joined = concatBytes(parts, bytes);
      parts = [];
      bytes = 0;
      yield joined;
    }
  }
  if (bytes > 0) yield concatBytes(parts, bytes);
}
