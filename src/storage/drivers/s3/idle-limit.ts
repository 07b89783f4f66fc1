/** A body that fails when no byte of it came for a while, or when the signal fires; both end its connection. */
import { abortError } from '../../../bytes/abort.ts';
import { HotpackError } from '../../../bytes/error.ts';

export interface IdleLimit {
  readonly idleMs: number;
  /** Ends the request that the body belongs to. */
  readonly aborter: AbortController;
  readonly signal: AbortSignal | undefined;
}

export function limitIdle(body: ReadableStream<Uint8Array>, limit: IdleLimit): ReadableStream<Uint8Array> {
  const { idleMs, aborter, signal } = limit;
  const reader = body.getReader();
  const onAbort = (): void => aborter.abort(signal?.reason);
  if (signal?.aborted === true) onAbort();
  else signal?.addEventListener('abort', onAbort, { once: true });
  const end = (): void => signal?.removeEventListener('abort', onAbort);
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const tooLong = new HotpackError('timeout', `nothing came for ${idleMs} ms`, { detail: { idleMs } });
        const timer = setTimeout(() => aborter.abort(tooLong), idleMs);
        try {
          const { done, value } = await reader.read();
          if (done) {
            end();
            controller.close();
          } else {
            controller.enqueue(value);
          }
        } catch (error) {
          end();
          controller.error(aborter.signal.aborted ? abortError(aborter.signal) : error);
        } finally {
          clearTimeout(timer);
        }
      },
      async cancel(reason) {
        end();
        await reader.cancel(reason);
      },
    },
    { highWaterMark: 0 },
  );
}
