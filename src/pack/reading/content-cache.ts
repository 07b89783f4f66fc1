/**
 * Inflated objects by object number, bounded in bytes: what delta chains are resolved against.
 *
 * Contents lie one behind the other in slabs, so that a small tree costs no allocation of its own; the oldest slab goes
 * first, with all that lies in it. Whoever still holds a content keeps its slab alive, nothing is ever overwritten.
 * Contents above a quarter slab get an array of their own, those above an eighth of the budget are not kept.
 *
 * Peak memory: `budgetBytes` plus about 100 bytes a kept object.
 */
import type { GitObject } from '../object-store.ts';

/** Above this a slab only keeps more memory alive for the same contents. */
const MAX_SLAB_BYTES = 512 * 1024;
/** What one kept object costs beside its content. */
const OVERHEAD_BYTES = 100;

interface Slab {
  bytes: number;
  readonly objects: number[];
}

export class ContentCache {
  readonly #budgetBytes: number;
  readonly #slabBytes: number;
  readonly #contents = new Map<number, GitObject>();
  /** Oldest first; `#head` is the first that is still kept. */
  #slabs: Slab[] = [];
  #head = 0;
  #keptBytes = 0;
  #open: Slab | undefined;
  #openArray: Uint8Array = new Uint8Array(0);
  #openUsed = 0;

  constructor(budgetBytes: number) {
    this.#budgetBytes = budgetBytes;
    this.#slabBytes = Math.min(MAX_SLAB_BYTES, Math.max(1024, Math.floor(budgetBytes / 8)));
  }

  get(object: number): GitObject | undefined {
    return this.#contents.get(object);
  }

  /** Room for a content of `bytes`, to be filled and then `put`. */
  allocate(bytes: number): Uint8Array {
    if (bytes > this.#slabBytes / 4) return new Uint8Array(bytes);
    if (this.#open === undefined || this.#openUsed + bytes > this.#slabBytes) {
      this.#openArray = new Uint8Array(this.#slabBytes);
      this.#openUsed = 0;
      this.#open = this.#append(this.#slabBytes);
    }
    const start = this.#openUsed;
    this.#openUsed += bytes;
    return this.#openArray.subarray(start, start + bytes);
  }

  /** Keeps a content that was allocated last, or that has an array of its own. */
  put(object: number, content: GitObject): void {
    const bytes = content.content.byteLength;
    if (this.#contents.has(object)) return;
    if (this.#open === undefined || content.content.buffer !== this.#openArray.buffer) {
      if (bytes > this.#budgetBytes / 8) return;
      this.#append(bytes + OVERHEAD_BYTES).objects.push(object);
    } else {
      this.#open.bytes += OVERHEAD_BYTES;
      this.#keptBytes += OVERHEAD_BYTES;
      this.#open.objects.push(object);
    }
    this.#contents.set(object, content);
  }

  clear(): void {
    this.#contents.clear();
    this.#slabs = [];
    this.#head = 0;
    this.#keptBytes = 0;
    this.#open = undefined;
  }

  #append(bytes: number): Slab {
    const slab: Slab = { bytes, objects: [] };
    this.#keptBytes += bytes;
    while (this.#keptBytes > this.#budgetBytes && this.#head < this.#slabs.length) this.#dropOldest();
    this.#slabs.push(slab);
    return slab;
  }

  #dropOldest(): void {
    const slab = this.#slabs[this.#head++] as Slab;
    for (const object of slab.objects) this.#contents.delete(object);
    this.#keptBytes -= slab.bytes;
    if (slab === this.#open) this.#open = undefined;
    if (this.#head > 1024) {
      this.#slabs = this.#slabs.slice(this.#head);
      this.#head = 0;
    }
  }
}
