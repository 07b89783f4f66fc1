/**
 * Small reads of one open file without the thread pool, for a thread that has nobody else to attend to: what lies in the system's page
 * cache is copied sooner than another thread is woken and wakes this one. A read that took long had to wait for a disk: the
 * next ones go through the pool, several at once and open to aborts, and then it is tried again. After so many in a row
 * one goes through the pool in any case, since each of those is a turn of the event loop for aborts and for other work.
 */
import { readSync } from 'node:fs';

/** Copying more takes longer than waking threads does, and the pool does it beside this thread's work. */
export const MAX_IN_PLACE_BYTES: number = 128 * 1024;
/** Copying 128 KiB takes some hundredths of it. */
const SLOW_MS = 1;
export const POOLED_AFTER_SLOW: number = 32;
export const IN_A_ROW: number = 16;

export class InPlaceReads {
  readonly #fd: number;
  readonly #now: () => number;
  #inARow = 0;
  #pooled = 0;

  /** `now`: in ms. */
  constructor(fd: number, now: () => number = () => performance.now()) {
    this.#fd = fd;
    this.#now = now;
  }

  /** Fills `target` from `position` on; false: the pool has to do it, and so where the file ends earlier. Throws what the system says. */
  fill(target: Uint8Array, position: number): boolean {
    if (target.length > MAX_IN_PLACE_BYTES) return false;
    if (this.#pooled > 0) {
      this.#pooled--;
      return false;
    }
    const begunAt = this.#now();
    const isFull = readSync(this.#fd, target, 0, target.length, position) === target.length;
    if (this.#now() - begunAt > SLOW_MS) this.#goToPool(POOLED_AFTER_SLOW);
    else if (++this.#inARow === IN_A_ROW) this.#goToPool(1);
    return isFull;
  }

  #goToPool(reads: number): void {
    this.#pooled = reads;
    this.#inARow = 0;
  }
}
