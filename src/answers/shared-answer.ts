/**
 * One pack in the making, from upstream or from a mirror, and everyone who reads it. It is cut into packets as it comes; each
 * follower reads them from the first one at his own pace: from the last few in memory where he keeps up, out of the
 * spool where he does not. Nobody waits for anybody: a follower that stalls or leaves changes nothing for the others, and
 * the pack is made as fast as the store takes it.
 *
 * A spool is begun when the answer is to be kept, or when a second one follows while the first packet is still in memory.
 * Without one, and where the store fails or is slow under way, those who follow are served from memory, the
 * pack is made no faster than the slowest of them reads, and nobody can join once the first packet has gone.
 *
 * Memory: `recentBytes()` while it is made, and one run of packets of each follower that lags behind.
 */
import { abortError, raceSignal, sleep } from '../bytes/abort.ts';
import { HotpackError } from '../bytes/error.ts';
import { forOneTaker, giveBack } from '../bytes/give-back.ts';
import { dataOfPackets, FULL_PACKET_BYTES, PacketFiller } from '../protocol/side-band/full-packets.ts';
import type { PackHeader } from '../upstream/fetch-pack.ts';
import { RecentRuns } from './recent-runs.ts';
import type { AnswerSpool } from './stored/answer-spool.ts';

const READ_BYTES = 8 * FULL_PACKET_BYTES;
/** How long those who read wait for a store that takes nothing. */
const PATIENCE_MS = 1_000;

/** A pack as somebody makes it. */
export interface PackSource {
  readonly header: PackHeader;
  /** To be iterated once, to its end or left early. */
  readonly chunks: AsyncIterable<Uint8Array>;
  /** One listener. */
  readonly onProgress?: (listener: (text: Uint8Array) => void) => void;
  /** Called once, when nothing more is read of it, or nothing ever will be. */
  readonly onEnd?: () => void;
}

export interface SharedAnswerParts {
  readonly answer: PackSource;
  /** Ends the making of `answer`. */
  readonly abort: AbortController;
  /** How many of the last bytes may be kept in memory, now. */
  readonly recentBytes: () => number;
  readonly openSpool: () => Promise<AnswerSpool>;
  /** Told once where the store fails. */
  readonly onSpoolFailed: (error: unknown) => void;
}

export interface Follower {
  readonly header: PackHeader;
  /** The pack from its first byte, as runs of full packets. To be iterated once; ends with `leave`. */
  readonly packets: (signal: AbortSignal) => AsyncGenerator<Uint8Array, void, undefined>;
  /** The same without packets. */
  readonly chunks: (signal: AbortSignal) => AsyncGenerator<Uint8Array, void, undefined>;
  /** Upstream's progress from now on, as it writes it (text of band 2). */
  readonly onProgress: (listener: (text: Uint8Array) => void) => void;
  /** Idempotent. To be called also where nothing was read. */
  readonly leave: () => void;
  /** The bytes are no pack that anybody should be given. Those who read on do so at their own risk, as they asked upstream. */
  readonly reject: () => void;
}

interface Reader {
  offset: number;
}

export class SharedAnswer {
  readonly #parts: SharedAnswerParts;
  readonly #abort: AbortController;
  readonly #readers = new Set<Reader>();
  readonly #listeners = new Set<(text: Uint8Array) => void>();
  readonly #recent = new RecentRuns();
  #packBytes = 0;
  #state: 'streaming' | 'complete' | 'failed' = 'streaming';
  #error: unknown;
  #pumped: Promise<void> = Promise.resolve();
  #spool: Promise<AnswerSpool> | undefined;
  #spooledBytes = 0;
  #spooled: Promise<void> = Promise.resolve();
  #spoolFailed = false;
  #isDiscarded = false;
  #isRejected = false;
  #followed = 0;
  #isEnded = false;
  #changed: PromiseWithResolvers<void> = Promise.withResolvers();
  #moved: PromiseWithResolvers<void> = Promise.withResolvers();

  constructor(parts: SharedAnswerParts) {
    this.#parts = parts;
    this.#abort = parts.abort;
  }

  /** Of its packets, so far. */
  get bytes(): number {
    return this.#recent.end;
  }

  /** What it takes in memory. */
  get memoryBytes(): number {
    return this.#recent.bytes;
  }

  get packBytes(): number {
    return this.#packBytes;
  }

  get followers(): number {
    return this.#readers.size;
  }

  get isStreaming(): boolean {
    return this.#state === 'streaming';
  }

  get isSpooled(): boolean {
    return this.#spool !== undefined && !this.#spoolFailed;
  }

  get isRejected(): boolean {
    return this.#isRejected;
  }

  /** True where it had more than one follower. */
  get wasJoined(): boolean {
    return this.#followed > 1;
  }

  /** False where a newcomer could not be given every byte. */
  get canJoin(): boolean {
    if (this.#state === 'failed' || this.#isRejected || this.#isDiscarded || this.#abort.signal.aborted) return false;
    return this.isSpooled || this.#recent.start === 0;
  }

  /** Not stored, never followed by a second one, and not to be joined any more: who reads alone may give back what he has sent. */
  get #isForOne(): boolean {
    return this.#spool === undefined && !this.canJoin;
  }

  /** Makes the pack to its end. Called once; resolves when there is nothing more to make, never rejects. */
  pump(): Promise<void> {
    this.#pumped = this.#pump();
    return this.#pumped;
  }

  /** Begins to spool. Only while the first packet is in memory. */
  spool(): void {
    if (this.#spool !== undefined) return;
    this.#spool = this.#parts.openSpool();
    this.#spooled = this.#store(this.#spool);
  }

  /** The spool once every byte is in it; undefined where there is none, or it is of no use. */
  async whole(): Promise<AnswerSpool | undefined> {
    await this.#pumped;
    await this.#spooled;
    return this.#state === 'complete' && this.isSpooled && !this.#isRejected ? this.#spool : undefined;
  }

  follow(): Follower {
    if (this.#followed++ > 0) this.spool();
    const reader: Reader = { offset: 0 };
    this.#readers.add(reader);
    const listeners = new Set<(text: Uint8Array) => void>();
    const leave = (): void => {
      if (!this.#readers.delete(reader)) return;
      for (const listener of listeners) this.#listeners.delete(listener);
      this.#signalMove();
      if (this.#readers.size === 0 && this.#state === 'streaming') this.#abort.abort(nobodyLeft());
    };
    const packets = (signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> =>
      this.#read(reader, signal, leave);
    return {
      header: this.#parts.answer.header,
      packets,
      chunks: (signal) => withoutPackets(packets(signal)),
      onProgress: (listener) => {
        listeners.add(listener);
        this.#listeners.add(listener);
      },
      leave,
      reject: () => {
        this.#isRejected = true;
      },
    };
  }

  /** Ends what is under way and removes the bytes from the store, but for what was kept. */
  async discard(): Promise<void> {
    // What has come to its end was not given up.
    if (this.#state === 'streaming') this.#abort.abort(nobodyLeft());
    await this.#pumped;
    this.#end();
    this.#isDiscarded = true;
    this.#signalChange();
    this.#recent.clear();
    await this.#spooled;
    const spool = await this.#spool?.catch(() => undefined);
    await spool?.abort();
  }

  async #pump(): Promise<void> {
    const { answer } = this.#parts;
    const filler = new PacketFiller();
    answer.onProgress?.((text) => {
      for (const listener of this.#listeners) listener(text);
    });
    try {
      for await (const chunk of answer.chunks) {
        this.#packBytes += chunk.length;
        for (const run of filler.push(chunk)) this.#append(run);
        giveBack(chunk);
        await this.#room();
      }
      const last = filler.finish();
      if (last !== undefined) this.#append(last);
      this.#state = 'complete';
    } catch (error) {
      this.#state = 'failed';
      this.#error = error;
    }
    this.#end();
    this.#dropOld();
    this.#signalChange();
  }

  #end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#parts.answer.onEnd?.();
  }

  /** Waits until memory has room again: for the store, and without one for the slowest reader. */
  async #room(): Promise<void> {
    while (!this.#dropOld()) {
      const before = this.#spooledBytes;
      const isStoring = this.isSpooled;
      const timer = new AbortController();
      const late = sleep(PATIENCE_MS, timer.signal).then(
        () => true,
        () => false,
      );
      const moved = this.#moved.promise.then(() => false);
      const isLate = await raceSignal(isStoring ? Promise.race([moved, late]) : moved, this.#abort.signal).finally(() =>
        timer.abort(),
      );
      if (isLate && this.isSpooled && this.#spooledBytes === before) {
        this.#spoolFails(new HotpackError('storage_unavailable', 'the store does not keep up with an answer'));
      }
    }
  }

  async #store(opening: Promise<AnswerSpool>): Promise<void> {
    try {
      const spool = await opening;
      while (!this.#spoolFailed && !this.#isDiscarded) {
        const next = this.#recent.at(this.#spooledBytes);
        if (next !== undefined) {
          await spool.write(next);
          this.#spooledBytes += next.length;
          this.#dropOld();
          this.#signalMove();
        } else if (this.#state === 'streaming') {
          await this.#changed.promise;
        } else {
          return;
        }
      }
    } catch (error) {
      this.#spoolFails(error);
    }
  }

  #spoolFails(error: unknown): void {
    if (this.#spoolFailed) return;
    this.#spoolFailed = true;
    this.#parts.onSpoolFailed(error);
    this.#signalMove();
  }

  async *#read(reader: Reader, signal: AbortSignal, leave: () => void): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      while (true) {
        if (this.#isDiscarded) throw abortError(this.#abort.signal);
        const { offset } = reader;
        if (offset < this.#recent.end) {
          const isRecent = offset >= this.#recent.start;
          const run = isRecent ? this.#recent.from(offset) : await raceSignal(this.#fromSpool(offset), signal);
          reader.offset += run.length;
          if (this.#isForOne) {
            while (this.#recent.dropFirst(reader.offset));
            forOneTaker(run);
          }
          this.#signalMove();
          yield run;
        } else if (this.#state === 'complete') {
          return;
        } else if (this.#state === 'failed') {
          throw this.#error;
        } else {
          await raceSignal(this.#changed.promise, signal);
        }
      }
    } finally {
      leave();
    }
  }

  /** Only what memory no longer holds: the rest may never have reached the store. */
  async #fromSpool(offset: number): Promise<Uint8Array> {
    const end = this.#recent.start;
    const spool = await (this.#spool as Promise<AnswerSpool>);
    return spool.read(offset, Math.min(READ_BYTES, end - offset));
  }

  #append(run: Uint8Array): void {
    this.#recent.append(run);
    this.#signalChange();
  }

  /** Lets go of what is over the limit and was read or spooled. False where it still is over the limit. */
  #dropOld(): boolean {
    // What is left to read lies in the store, and nothing more comes that would be read twice.
    const isAtRest = this.#state === 'complete' && this.isSpooled;
    const limit = isAtRest ? 0 : this.#parts.recentBytes();
    if (this.#recent.bytes <= limit) return true;
    const offsets = [...this.#readers].map((reader) => reader.offset);
    const until = this.isSpooled ? this.#spooledBytes : Math.min(this.#recent.end, ...offsets);
    while (this.#recent.bytes > limit) if (!this.#recent.dropFirst(until)) return false;
    return true;
  }

  #signalChange(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  #signalMove(): void {
    this.#moved.resolve();
    this.#moved = Promise.withResolvers();
  }
}

async function* withoutPackets(
  packets: AsyncGenerator<Uint8Array, void, undefined>,
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const run of packets) yield* dataOfPackets(run);
}

function nobodyLeft(): HotpackError {
  return new HotpackError('aborted', 'everyone who followed this answer has left');
}
