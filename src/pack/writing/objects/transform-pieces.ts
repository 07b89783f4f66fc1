/**
 * Pieces through one of the platform's compression streams, pulled: while nobody takes what comes out, the stream's own
 * queue fills and the source waits. Memory: a few pieces on either side.
 */
import { abortError, raceSignal } from '../../../bytes/abort.ts';

/** What comes out of `transform` while `pieces` go in; stops both sides when it is left or the signal fires. */
export async function* transformPieces(
  transform: { readonly readable: ReadableStream<Uint8Array>; readonly writable: WritableStream<BufferSource> },
  pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const writer = transform.writable.getWriter();
  const reader = transform.readable.getReader();
  let stopped = false;
  let cause: unknown;
  const feeding = (async () => {
    for await (const piece of pieces) {
      if (stopped) return;
      await writer.ready;
      await writer.write(piece as Uint8Array<ArrayBuffer>);
    }
    await writer.close();
  })();
  feeding.catch((error: unknown) => {
    cause ??= error;
    writer.abort(error).catch(() => undefined);
  });
  try {
    for (;;) {
      if (signal.aborted) throw abortError(signal);
      const { done, value } = await raceSignal(reader.read(), signal);
      if (done) break;
      yield value;
    }
    await feeding;
  } catch (error) {
    throw cause ?? error;
  } finally {
    stopped = true;
    reader.cancel().catch(() => undefined);
    writer.abort().catch(() => undefined);
  }
}
