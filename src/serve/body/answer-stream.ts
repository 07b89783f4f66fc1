/**
 * The body of an upload-pack answer: the sections, then a pack in the client's framing, progress between its chunks, an error
 * on band 3 where it fails under way. Nothing is read ahead of the client. A client who takes everything at once does not keep
 * others waiting: after every MiB the event loop has its turn.
 */
import { abortError } from '../../bytes/abort.ts';
import { HotpackError } from '../../bytes/error.ts';
import { StreamTurns } from '../../bytes/turn.ts';
import type { FetchRequest, SideBand } from '../../protocol/fetch-request.ts';
import { bytesFromText } from '../../protocol/pkt-line/text.ts';
import {
  encodeBand,
  frameBand,
  PACK_BAND,
  PROGRESS_BAND,
  writeSideBandEnd,
  writeSideBandError,
} from '../../protocol/side-band/frame.ts';
import { cutPackets } from '../../protocol/side-band/full-packets.ts';

/** Of progress texts that wait for a slow client. */
const MAX_PROGRESS_BYTES = 64 * 1024;

export interface PackBody {
  /** Everything in front of the pack. */
  readonly head: Uint8Array;
  /** The pack as runs of full packets. */
  readonly packets: AsyncIterable<Uint8Array>;
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
  const frames = framesOf(request, body, end);
  const turns = new StreamTurns();
  // A client that left may never pull nor cancel: what the frames hold open is closed all the same.
  const onAbort = (): void => {
    end();
    frames.return().catch(() => undefined);
  };
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await frames.next();
        if (done === true) {
          // Frames that were ended from outside are no answer.
          if (signal.aborted) throw abortError(signal);
          end();
          controller.close();
        } else {
          controller.enqueue(value);
          await turns.after(value.length);
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
    for await (const part of withProgress(body.packets, progress)) {
      if (part.band === PACK_BAND) yield* cutPackets(part.bytes, sideBand);
      else yield* frameBand(part.band, part.bytes, sideBand);
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

/** Somebody else's progress that this client has not been sent yet; the oldest is dropped where he is slow. */
class ProgressQueue {
  readonly #texts: Uint8Array[] = [];
  #bytes = 0;
  #wake: (() => void) | undefined;

  constructor(subscribe: PackBody['onProgress']) {
    subscribe?.((text) => {
      this.#texts.push(text.slice());
      this.#bytes += text.length;
      while (this.#bytes > MAX_PROGRESS_BYTES) this.take();
      this.#wake?.();
    });
  }

  take(): Uint8Array | undefined {
    const text = this.#texts.shift();
    this.#bytes -= text?.length ?? 0;
    return text;
  }

  /** Resolves with the next text that comes, or when `other` settles. Nothing stays attached to this queue. */
  async arrivedOr(other: Promise<unknown>): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      other.then(
        () => resolve(),
        () => resolve(),
      );
    });
    this.#wake = undefined;
  }
}

interface Part {
  readonly band: typeof PACK_BAND | typeof PROGRESS_BAND;
  readonly bytes: Uint8Array;
}

async function* withProgress(
  packets: AsyncIterable<Uint8Array>,
  progress: ProgressQueue | undefined,
): AsyncGenerator<Part, void, undefined> {
  if (progress === undefined) {
    for await (const bytes of packets) yield { band: PACK_BAND, bytes };
    return;
  }
  const iterator = packets[Symbol.asyncIterator]();
  try {
    let isOver = false;
    while (!isOver) {
      let hasCome = false;
      const next = iterator.next();
      // Told by the promise itself below; here only that it settled.
      const settled = next.then(
        () => (hasCome = true),
        () => (hasCome = true),
      );
      while (true) {
        for (let text = progress.take(); text !== undefined; text = progress.take()) {
          yield { band: PROGRESS_BAND, bytes: text };
        }
        if (hasCome) break;
        // oxlint-disable-next-line no-await-in-loop -- one after the other is what a stream is
        await progress.arrivedOr(settled);
      }
      // oxlint-disable-next-line no-await-in-loop
      const came = await next;
      if (came.done === true) isOver = true;
      else yield { band: PACK_BAND, bytes: came.value };
    }
  } finally {
    await iterator.return?.();
  }
}

function wordsOf(error: unknown): string {
  return error instanceof HotpackError ? error.message : 'internal error';
}
