/**
 * The pack's bytes on their way out, gathered into chunks of 64 KiB to 1 MiB (the last one may be shorter), over which SHA-1 runs
 * as a whole. What pieces are cut from can be given back once they are appended, and so can chunks once they are sent: a
 * megabyte that a collection must find costs more than copying it. Arrays that nobody else needs go through as they are.
 *
 * Peak memory: one chunk being gathered and those made ready since they were last taken.
 */
import { forOneTaker, giveBack } from '../../bytes/give-back.ts';
import { createSha1 } from '../../bytes/sha1.ts';
import type { Sha1 } from '../../bytes/sha1.ts';

const CHUNK_BYTES = 256 * 1024;
/** No chunk but the last is shorter. */
const LEAST_BYTES = 64 * 1024;
/** Up to so many bytes are copied one by one: a view of them for a copy at once costs more. */
const FEW_BYTES = 64;

export class PackOutput {
  /** Bytes of the pack so far: where the next entry begins. */
  position = 0;
  readonly #sha1: Sha1 = createSha1();
  #ready: Uint8Array[] = [];
  #chunk: Uint8Array | undefined;
  #used = 0;

  get hasReady(): boolean {
    return this.#ready.length > 0;
  }

  /** Appends a copy of `[start, end)` of `bytes`. */
  append(bytes: Uint8Array, start = 0, end: number = bytes.length): void {
    this.position += end - start;
    let at = start;
    while (at < end) {
      const chunk = (this.#chunk ??= new Uint8Array(CHUNK_BYTES));
      const length = Math.min(CHUNK_BYTES - this.#used, end - at);
      if (length > FEW_BYTES) chunk.set(bytes.subarray(at, at + length), this.#used);
      else for (let i = 0; i < length; i++) chunk[this.#used + i] = bytes[at + i] as number;
      this.#used += length;
      at += length;
      if (this.#used === CHUNK_BYTES) this.#flush();
    }
  }

  /** Appends all of `bytes`, which is the output's from now on: it goes out as it is where that makes no short chunk of what came before. */
  pass(bytes: Uint8Array): void {
    const isShort = this.#used > 0 && this.#used < LEAST_BYTES;
    if (bytes.length < LEAST_BYTES || isShort) {
      this.append(bytes);
      giveBack(bytes);
      return;
    }
    this.#flush();
    this.position += bytes.length;
    this.#take(bytes);
  }

  /** Chunks that are ready; whoever takes them owns them. */
  take(): Uint8Array[] {
    const ready = this.#ready;
    this.#ready = [];
    return ready;
  }

  /** Appends the trailer (SHA-1 of everything before it) and gives the last chunks. */
  finish(): Uint8Array[] {
    if (this.#chunk !== undefined) this.#sha1.update(this.#chunk.subarray(0, this.#used));
    const trailer = this.#sha1.digest();
    const last = new Uint8Array(this.#used + trailer.length);
    if (this.#chunk !== undefined) last.set(this.#chunk.subarray(0, this.#used));
    last.set(trailer, this.#used);
    this.position += trailer.length;
    this.#chunk = undefined;
    this.#used = 0;
    return [...this.take(), last];
  }

  #flush(): void {
    if (this.#chunk === undefined || this.#used === 0) return;
    this.#take(forOneTaker(this.#chunk.subarray(0, this.#used)));
    this.#chunk = undefined;
    this.#used = 0;
  }

  #take(bytes: Uint8Array): void {
    this.#sha1.update(bytes);
    this.#ready.push(bytes);
  }
}
