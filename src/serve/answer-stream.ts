/**
 * The body of an upload-pack answer: the sections, then a pack in the client's framing, progress between its chunks, an error
 * on band 3 where it fails under way. Nothing is read ahead of the client.
 */
import { HotpackError } from '../bytes/error.ts';
import type { FetchRequest, SideBand } from '../protocol/fetch-request.ts';
import { bytesFromText } from '../protocol/pkt-line/text.ts';
import {
  encodeBand,
  frameBand,
  PACK_BAND,
  PROGRESS_BAND,
  writeSideBandEnd,
  writeSideBandError,
} from '../protocol/side-band/frame.ts';

export interface PackBody {
  /** Everything in front of the pack. */
  readonly head: Uint8Array;
  readonly chunks: AsyncIterable<Uint8Array>;
  /** One line that says where the answer comes from. */
  readonly note: string;
  /** Hands on somebody else's progress while it comes. */
  readonly onProgress?: (listener: (text: Uint8Array) => void) => void;
  /** Called once, when the body was sent, failed, or is not wanted any more. */
  readonly onEnd: (error?: unknown) => void;
}

export function streamAnswer(request: FetchRequest, body: PackBody, signal: AbortSignal): ReadableStream<Uint8Array> {
  let isOver = false;
  const end = (error?: unknown): void => {
    if (isOver) return;
    isOver = true;
    signal.removeEventListener('abort', onAbort);
    body.onEnd(error);
  };
  // A client that left before he read anything never pulls and never cancels.
  const onAbort = (): void => end();
  signal.addEventListener('abort', onAbort, { once: true });
  const frames = framesOf(request, body, end);
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await frames.next();
        if (done === true) {
          end();
          controller.close();
        } else {
          controller.enqueue(value);
        }
      },
      async cancel() {
        end();
        await frames.return();
      },
    },
    { highWaterMark: 0 },
  );
}

async function* framesOf(
  request: FetchRequest,
  body: PackBody,
  end: (error: unknown) => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { sideBand } = request;
  yield body.head;
  const hasProgress = sideBand !== 'none' && !request.noProgress;
  if (hasProgress) yield encodeBand(PROGRESS_BAND, bytesFromText(`${body.note}\n`), sideBand);
  try {
    const progress = hasProgress ? new ProgressQueue(body.onProgress) : undefined;
    for await (const part of withProgress(body.chunks, progress)) {
      yield* frameBand(part.band, part.bytes, sideBand);
    }
  } catch (error) {
    end(error);
    // Without side-band only a cut stream tells that something is wrong.
    if (sideBand === 'none') throw error;
    yield writeSideBandError(`hotpack: ${wordsOf(error)}\n`, sideBand as SideBand);
    return;
  }
  yield writeSideBandEnd(sideBand);
}

class ProgressQueue {
  readonly #texts: Uint8Array[] = [];
  #arrived: PromiseWithResolvers<void> = Promise.withResolvers();

  constructor(subscribe: PackBody['onProgress']) {
    subscribe?.((text) => {
      this.#texts.push(text.slice());
      this.#arrived.resolve();
    });
  }

  get arrived(): Promise<void> {
    return this.#arrived.promise;
  }

  take(): Uint8Array | undefined {
    const text = this.#texts.shift();
    if (text === undefined) this.#arrived = Promise.withResolvers();
    return text;
  }
}

interface Part {
  readonly band: typeof PACK_BAND | typeof PROGRESS_BAND;
  readonly bytes: Uint8Array;
}

async function* withProgress(
  chunks: AsyncIterable<Uint8Array>,
  progress: ProgressQueue | undefined,
): AsyncGenerator<Part, void, undefined> {
  if (progress === undefined) {
    for await (const bytes of chunks) yield { band: PACK_BAND, bytes };
    return;
  }
  const iterator = chunks[Symbol.asyncIterator]();
  try {
    let next = iterator.next();
    while (true) {
      for (let text = progress.take(); text !== undefined; text = progress.take()) {
        yield { band: PROGRESS_BAND, bytes: text };
      }
      // oxlint-disable-next-line no-await-in-loop -- one after the other is what a stream is
      const came = await Promise.race([next, progress.arrived]);
      if (came === undefined) continue;
      if (came.done === true) return;
      yield { band: PACK_BAND, bytes: came.value };
      next = iterator.next();
    }
  } finally {
    await iterator.return?.();
  }
}

function wordsOf(error: unknown): string {
  return error instanceof HotpackError ? error.message : 'internal error';
}
