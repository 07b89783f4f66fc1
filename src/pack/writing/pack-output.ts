/**
 * The pack's bytes on their way out: small pieces are gathered, long ones go through as they are, so that a chunk has
 * 64 KiB to 1 MiB (the last one may be shorter) and SHA-1 runs over whole chunks.
 *
 * Peak memory: one chunk being gathered and those made ready since they were last taken.
 */
import { createSha1 } from '../../bytes/sha1.ts';
import type { Sha1 } from '../../bytes/sha1.ts';

const CHUNK_BYTES = 256 * 1024;
/** From here on a piece is passed on instead of copied. */
const PASS_BYTES = 64 * 1024;

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

  /** Appends `[start, end)` of `bytes`, which MUST NOT change any more. */
  append(bytes: Uint8Array, start = 0, end: number = bytes.length): void {
    this.position += end - start;
    let at = start;
    while (at < end) {
      if (this.#used === 0 && end - at >= PASS_BYTES) {
        this.#pass(bytes.subarray(at, end));
        return;
      }
      this.#chunk ??= new Uint8Array(CHUNK_BYTES);
      // What is gathered is brought to the least length of a chunk, then the rest can pass.
      const isLong = end - at >= 2 * PASS_BYTES;
      const room = (isLong ? Math.max(PASS_BYTES, this.#used) : CHUNK_BYTES) - this.#used;
      const length = Math.min(room, end - at);
      this.#chunk.set(bytes.subarray(at, at + length), this.#used);
      this.#used += length;
      at += length;
      if (this.#used === CHUNK_BYTES || (isLong && length === room)) this.#flush();
    }
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
    this.#pass(this.#chunk.subarray(0, this.#used));
    this.#chunk = undefined;
    this.#used = 0;
  }

  #pass(bytes: Uint8Array): void {
    this.#sha1.update(bytes);
    this.#ready.push(bytes);
  }
}
