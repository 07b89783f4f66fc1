/**
 * One pack on its way from upstream, and everyone who reads it. Its bytes go into the store as they come; each follower
 * reads them from the first one at his own pace: from the last few chunks in memory where he keeps up, out of the store
 * where he does not. Nobody waits for anybody: a follower that stalls or leaves changes nothing for the others, and
 * upstream is read as fast as the store takes it.
 *
 * Where the store fails under way (a full disk), those who follow are served on from memory, and then upstream is read
 * no faster than the slowest of them; nobody can join from then on.
 *
 * Memory: `recentBytes()` while upstream is read, and one chunk of each follower that lags behind.
 */
import { abortError, raceSignal } from '../bytes/abort.ts';
import { HotpackError } from '../bytes/error.ts';
import type { StorageWriter } from '../storage/contract.ts';
import type { PackAnswer, PackHeader } from '../upstream/fetch-pack.ts';

const READ_BYTES = 256 * 1024;

export interface SharedAnswerParts {
  readonly answer: PackAnswer;
  readonly spool: StorageWriter;
  /** Ends the upstream request behind `answer`. */
  readonly abort: AbortController;
  /** How many of the last bytes may be kept in memory, now. */
  readonly recentBytes: () => number;
  /** Told once where the store fails. */
  readonly onSpoolFailed: (error: unknown) => void;
}

export interface Follower {
  readonly header: PackHeader;
  /** The pack from its first byte. To be iterated once; ends with `leave`. */
  readonly chunks: (signal: AbortSignal) => AsyncGenerator<Uint8Array, void, undefined>;
  /** Upstream's progress from now on, as it writes it (text of band 2). */
  readonly onProgress: (listener: (text: Uint8Array) => void) => void;
  /** Idempotent. To be called also where `chunks` was never begun. */
  readonly leave: () => void;
  /** The bytes are no pack that anybody should be given. Those who read on do so at their own risk, as they asked upstream. */
  readonly reject: () => void;
}

interface Recent {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

interface Reader {
  offset: number;
}

export class SharedAnswer {
  readonly #answer: PackAnswer;
  readonly #spool: StorageWriter;
  readonly #abort: AbortController;
  readonly #parts: SharedAnswerParts;
  readonly #readers = new Set<Reader>();
  readonly #listeners = new Set<(text: Uint8Array) => void>();
  #recent: Recent[] = [];
  #recentBytes = 0;
  #available = 0;
  #state: 'streaming' | 'complete' | 'failed' = 'streaming';
  #error: unknown;
  #pumped: Promise<void> = Promise.resolve();
  #spoolFailed = false;
  #isDiscarded = false;
  #isRejected = false;
  #changed: PromiseWithResolvers<void> = Promise.withResolvers();
  #moved: PromiseWithResolvers<void> = Promise.withResolvers();

  constructor(parts: SharedAnswerParts) {
    this.#parts = parts;
    this.#answer = parts.answer;
    this.#spool = parts.spool;
    this.#abort = parts.abort;
  }

  get bytes(): number {
    return this.#available;
  }

  get followers(): number {
    return this.#readers.size;
  }

  get isStreaming(): boolean {
    return this.#state === 'streaming';
  }

  /** False where a newcomer could not be given every byte. */
  get canJoin(): boolean {
    return this.#state !== 'failed' && !this.#isRejected && !this.#spoolFailed && !this.#abort.signal.aborted;
  }

  /** Reads upstream to its end. Called once; resolves when there is nothing more to read, never rejects. */
  pump(): Promise<void> {
    this.#pumped = this.#pump();
    return this.#pumped;
  }

  async #pump(): Promise<void> {
    this.#answer.onProgress((text) => {
      for (const listener of this.#listeners) listener(text);
    });
    try {
      for await (const chunk of this.#answer.chunks) {
        if (!this.#spoolFailed) {
          await this.#spool.write(chunk).catch((error: unknown) => {
            this.#spoolFailed = true;
            this.#parts.onSpoolFailed(error);
          });
        }
        this.#append(chunk);
        while (this.#spoolFailed && this.#recentBytes > this.#parts.recentBytes() && this.#readers.size > 0) {
          await raceSignal(this.#moved.promise, this.#abort.signal);
          this.#dropRead();
        }
      }
      this.#state = 'complete';
      // What is left to read lies in the store, and nothing more comes that would be read twice.
      if (!this.#spoolFailed) while (this.#recent.length > 0) this.#dropFirst();
    } catch (error) {
      this.#state = 'failed';
      this.#error = error;
    }
    this.#signalChange();
  }

  follow(): Follower {
    const reader: Reader = { offset: 0 };
    this.#readers.add(reader);
    const listeners = new Set<(text: Uint8Array) => void>();
    const leave = (): void => {
      if (!this.#readers.delete(reader)) return;
      for (const listener of listeners) this.#listeners.delete(listener);
      this.#signalMove();
      if (this.#readers.size === 0 && this.#state === 'streaming') this.#abort.abort(nobodyLeft());
    };
    return {
      header: this.#answer.header,
      chunks: (signal) => this.#read(reader, signal, leave),
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

  /** Ends what is under way and removes the bytes from the store. */
  async discard(): Promise<void> {
    this.#abort.abort(nobodyLeft());
    await this.#pumped;
    this.#isDiscarded = true;
    this.#recent = [];
    this.#recentBytes = 0;
    await this.#spool.abort();
  }

  async *#read(reader: Reader, signal: AbortSignal, leave: () => void): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      while (true) {
        if (this.#isDiscarded) throw abortError(this.#abort.signal);
        const { offset } = reader;
        if (offset < this.#available) {
          const recent = this.#recent[0];
          const chunk =
            recent !== undefined && offset >= recent.offset
              ? this.#recentFrom(offset)
              : await raceSignal(this.#fromSpool(offset), signal);
          reader.offset += chunk.length;
          this.#signalMove();
          yield chunk;
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
  #fromSpool(offset: number): Promise<Uint8Array> {
    const end = this.#recent[0]?.offset ?? this.#available;
    return this.#spool.read(offset, Math.min(READ_BYTES, end - offset));
  }

  #recentFrom(offset: number): Uint8Array {
    // From the end: who keeps up reads there.
    const found = this.#recent.findLast((one) => one.offset <= offset) as Recent;
    return offset === found.offset ? found.bytes : found.bytes.subarray(offset - found.offset);
  }

  #append(chunk: Uint8Array): void {
    this.#recent.push({ offset: this.#available, bytes: chunk });
    this.#recentBytes += chunk.length;
    this.#available += chunk.length;
    if (!this.#spoolFailed) {
      const limit = this.#parts.recentBytes();
      while (this.#recentBytes > limit && this.#recent.length > 1) this.#dropFirst();
    }
    this.#signalChange();
  }

  #dropFirst(): void {
    const dropped = this.#recent.shift() as Recent;
    this.#recentBytes -= dropped.bytes.length;
  }

  /** Lets go of chunks that every follower has read. */
  #dropRead(): void {
    const slowest = Math.min(...[...this.#readers].map((reader) => reader.offset));
    while (this.#recent[0] !== undefined && this.#recent[0].offset + this.#recent[0].bytes.length <= slowest)
      this.#dropFirst();
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

function nobodyLeft(): HotpackError {
  return new HotpackError('aborted', 'everyone who followed this answer has left');
}
