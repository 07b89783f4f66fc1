/**
 * The sets of one pack's commits while they are made, the oldest first: each is built on those before it. They are kept
 * compressed, each for itself.
 *
 * Memory: at most an eighth of a byte an object and set.
 */
import type { PackedObjects } from '../../reading/packed-objects.ts';
import { encodeEwah, maxEwahBytes, orEwah, parseEwah } from '../ewah.ts';
import type { StoredSets } from '../stored-sets.ts';

export class GrowingSets implements StoredSets {
  readonly bits: number;
  /** Of every object the walk is to find out the type. */
  readonly packBits = 0;
  readonly #store: PackedObjects;
  readonly #rows = new Map<number, number>();
  readonly #sets: Uint8Array[] = [];
  #scratch = new Uint8Array(0);

  /** `store` holds one pack and nothing else. */
  constructor(store: PackedObjects) {
    this.#store = store;
    this.bits = store.objectsIn(0);
  }

  bitOf(object: number): number {
    return this.#store.positionOf(object);
  }

  objectAt(bit: number): number {
    return this.#store.objectAtPosition(0, bit);
  }

  typeAt(): undefined {
    return undefined;
  }

  rowOf(commit: number): number {
    return this.#rows.get(commit) ?? -1;
  }

  orInto(row: number, words: Uint32Array): void {
    orEwah(parseEwah(this.#sets[row] as Uint8Array, 0, this.bits), words);
  }

  add(commit: number, words: Uint32Array): void {
    this.#rows.set(commit, this.#sets.length);
    this.#sets.push(this.encode(words));
  }

  /** `words` as EWAH, in an array of its own. */
  encode(words: Uint32Array): Uint8Array {
    if (this.#scratch.length === 0) this.#scratch = new Uint8Array(maxEwahBytes(words));
    return this.#scratch.slice(0, encodeEwah(words, this.#scratch));
  }
}
