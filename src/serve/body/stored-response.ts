/**
 * A stored answer on its way out: the sections, a line that says so, the packets and the end as they lie in the store. Nobody
 * looks at the bytes; only for older framings they are cut anew. The length is declared, so that a cut shows.
 *
 * What is in memory goes out as it lies there. Of what is not, the first piece goes along with what is in front of it, the others are of a MiB, one read ahead of the client.
 * Memory: two pieces; none where the runtime pipes the store's own stream (`SizeBody`).
 */
import type { StoredAnswer } from '../../answers/stored/stored-answers.ts';
import { abortError } from '../../bytes/abort.ts';
import { forOneTaker, giveBack } from '../../bytes/give-back.ts';
import { concatBytes } from '../../bytes/streams.ts';
import { WholeBody } from '../../bytes/whole-body.ts';
import type { FetchRequest, SideBand } from '../../protocol/fetch-request.ts';
import { bytesFromText } from '../../protocol/pkt-line/text.ts';
import { encodeBand, PROGRESS_BAND, writeSideBandEnd } from '../../protocol/side-band/frame.ts';
import { cutBytes, cutPackets, FULL_PACKET_BYTES, fullPacketsBytes } from '../../protocol/side-band/full-packets.ts';
import { type Serving, uploadPackResponse } from '../services.ts';
import { staleNote } from './stale-note.ts';

const FIRST_BYTES = 4 * FULL_PACKET_BYTES;
const PIECE_BYTES = 16 * FULL_PACKET_BYTES;

export interface Stored {
  /** Released when it was sent, or is not wanted any more. */
  readonly answer: StoredAnswer;
  /** Everything in front of the pack. */
  readonly head: Uint8Array;
}

/** Rejects where the store fails before the answer begins. */
export async function storedResponse(
  serving: Serving,
  request: FetchRequest,
  { answer, head }: Stored,
): Promise<Response> {
  const { sideBand, noProgress } = request;
  const { objects, packBytes } = answer.header;
  const { sizeBody } = serving;
  const { signal } = serving.context;
  const text = `hotpack: ${objects} objects from a stored answer${staleNote(serving.context)}\n`;
  const hasNote = sideBand !== 'none' && !noProgress;
  const start = hasNote ? concatBytes([head, encodeBand(PROGRESS_BAND, bytesFromText(text), sideBand)]) : head;
  const end = writeSideBandEnd(sideBand);
  const bytes = start.length + cutBytes(packBytes, sideBand) + end.length;
  if (sizeBody !== undefined && sideBand === 'side-band-64k' && answer.reader.openBody !== undefined) {
    return uploadPackResponse(sizeBody({ start, rest: await openPackets(answer, signal), bytes }), 'pack-cache', bytes);
  }
  if (answer.packets !== undefined) {
    answer.release();
    const run = answer.packets.subarray(0, fullPacketsBytes(packBytes));
    return uploadPackResponse(new WholeBody([start, ...cutPackets(run, sideBand), end]), 'pack-cache', bytes);
  }
  const pieces = new StoredPieces(answer, start, signal);
  const body = sideBand === 'side-band-64k' ? pieces.asStored() : pieces.cut(sideBand, end);
  const sized = sizeBody?.({ start: new Uint8Array(0), rest: body, bytes }) ?? body;
  return uploadPackResponse(sized, 'pack-cache', bytes);
}

/** As a stream of the store's own, which needs the answer no more. */
async function openPackets(answer: StoredAnswer, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
  const { reader, header, release } = answer;
  const offset = header.headerBytes;
  const body = reader.openBody?.({ offset, length: reader.bytes - offset }, signal);
  try {
    return await (body as Promise<ReadableStream<Uint8Array>>);
  } finally {
    release();
  }
}

class StoredPieces {
  readonly #answer: StoredAnswer;
  readonly #signal: AbortSignal;
  readonly #start: Uint8Array;
  #at: number;
  #ahead: Promise<Uint8Array> | undefined;
  #isOver = false;

  constructor(answer: StoredAnswer, start: Uint8Array, signal: AbortSignal) {
    this.#answer = answer;
    this.#start = start;
    this.#signal = signal;
    this.#at = answer.header.headerBytes;
    // A client that left may never pull nor cancel.
    if (signal.aborted) this.#release();
    else signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  /** Packets and end as they lie there. */
  asStored(): ReadableStream<Uint8Array> {
    const { reader } = this.#answer;
    return this.#stream(reader.bytes, async (controller, isFirst) => {
      const piece = forOneTaker(await this.#next(reader.bytes));
      if (!isFirst) return controller.enqueue(piece);
      controller.enqueue(forOneTaker(concatBytes([this.#start, piece])));
      giveBack(piece);
    });
  }

  /** The packets in another framing, then `end`. */
  cut(sideBand: SideBand, end: Uint8Array): ReadableStream<Uint8Array> {
    const { headerBytes, packBytes } = this.#answer.header;
    const to = headerBytes + fullPacketsBytes(packBytes);
    return this.#stream(to, async (controller, isFirst) => {
      if (isFirst) controller.enqueue(this.#start);
      for (const part of cutPackets(await this.#next(to), sideBand)) controller.enqueue(part);
      if (this.#at === to && end.length > 0) controller.enqueue(end);
    });
  }

  #stream(
    to: number,
    pull: (controller: ReadableStreamDefaultController<Uint8Array>, isFirst: boolean) => Promise<void>,
  ): ReadableStream<Uint8Array> {
    let isFirst = true;
    return new ReadableStream<Uint8Array>(
      {
        pull: async (controller) => {
          try {
            if (this.#signal.aborted) throw abortError(this.#signal);
            await pull(controller, isFirst);
            isFirst = false;
          } catch (error) {
            this.#release(this.#signal.aborted ? undefined : error);
            throw error;
          }
          if (this.#at < to) return;
          this.#release();
          controller.close();
        },
        cancel: () => this.#release(),
      },
      { highWaterMark: 0 },
    );
  }

  /** The next piece; the one behind it is asked for. */
  async #next(to: number): Promise<Uint8Array> {
    const piece = await (this.#ahead ?? this.#read(to, FIRST_BYTES));
    this.#at += piece.length;
    this.#ahead = this.#at < to ? this.#read(to, PIECE_BYTES) : undefined;
    return piece;
  }

  #read(to: number, bytes: number): Promise<Uint8Array> {
    const reading = this.#answer.reader.read(this.#at, Math.min(bytes, to - this.#at), this.#signal);
    // Whoever leaves never comes back for it.
    reading.catch(() => undefined);
    return reading;
  }

  readonly #onAbort = (): void => this.#release();

  #release(error?: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#signal.removeEventListener('abort', this.#onAbort);
    this.#answer.release(error);
  }
}
