/**
 * Memory for the windows of one pack that is written, read into again and again: a megabyte that is new each time costs the system more
 * than the copy of what is read into it, since every page of it has to be found and cleared.
 *
 * Memory: `MAX_BUFFERS` windows; what is asked for beyond is not lent.
 */
import { giveBack } from '../../../bytes/give-back.ts';
import { WINDOW_BYTES } from './pack-windows.ts';

const MAX_BUFFERS = 3;
/** Smaller ones come from memory that a process has at hand. */
const LEAST_BYTES = 64 * 1024;

export class WindowMemory {
  readonly #free: Uint8Array[] = [];
  readonly #own = new Set<ArrayBufferLike>();

  /** Room for `length` bytes or more; undefined where the reader is to find its own. */
  lend(length: number): Uint8Array | undefined {
    if (length < LEAST_BYTES || length > WINDOW_BYTES) return undefined;
    const free = this.#free.pop();
    if (free !== undefined || this.#own.size === MAX_BUFFERS) return free;
    const made = new Uint8Array(WINDOW_BYTES);
    this.#own.add(made.buffer);
    return made;
  }

  /** Of a window that is needed no more, whether it lies here or not. */
  giveBack(bytes: Uint8Array): void {
    if (this.#own.has(bytes.buffer)) this.#free.push(new Uint8Array(bytes.buffer));
    else giveBack(bytes);
  }
}
