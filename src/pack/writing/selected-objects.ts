/**
 * The objects of one pack being written: which they are, where each begins in the output, and in which order they lie in
 * the packs they come from. 8 bytes an object for the positions, 4 more for the pack in work.
 */
import { HotpackError } from '../../bytes/error.ts';
import { PACK_HEADER_BYTES } from '../codec/pack-header.ts';
import type { PackedObjects } from '../reading/packed-objects.ts';

/** Index of `object` in an ascending table, or -1. */
export function indexOfObject(objects: Uint32Array, object: number): number {
  let low = 0;
  let high = objects.length - 1;
  // Numbers are whole and ascend, so none lies further from an end than its distance in value.
  if (high < 0) return -1;
  const first = objects[0] as number;
  const last = objects[high] as number;
  if (object < first || object > last) return -1;
  low = Math.max(low, high - (last - object));
  high = Math.min(high, object - first);
  while (low <= high) {
    const middle = (low + high) >>> 1;
    const found = objects[middle] as number;
    if (found === object) return middle;
    if (found < object) low = middle + 1;
    else high = middle - 1;
  }
  return -1;
}

export class SelectedObjects {
  readonly objects: Uint32Array;
  /** By index in `objects`: where its entry begins in the output, 0 while it is not written. */
  readonly #outputAt: Float64Array;
  readonly #store: PackedObjects;
  /** By pack, where it was copied whole: how much further its entries begin in the output than in the pack. */
  readonly #shifts: (number | undefined)[];

  constructor(objects: Uint32Array, store: PackedObjects & { readonly objectCount: number }) {
    const { objectCount } = store;
    for (let i = 0; i < objects.length; i++) {
      const object = objects[i] as number;
      if (object >= objectCount || (i > 0 && object <= (objects[i - 1] as number))) {
        throw new HotpackError('invalid_argument', 'selected objects must be numbers of the store, ascending', {
          detail: { index: i, object, objects: objectCount },
        });
      }
    }
    this.objects = objects;
    this.#outputAt = new Float64Array(objects.length);
    this.#store = store;
    this.#shifts = Array.from({ length: store.packCount }, () => undefined);
  }

  /** Where the object's entry begins in the output; 0: it will follow; -1: it does not go along. */
  outputAt(object: number): number {
    const index = indexOfObject(this.objects, object);
    if (index < 0) return -1;
    const shift = this.#shifts[this.#store.packOf(object)];
    return shift === undefined ? (this.#outputAt[index] as number) : this.#store.offsetOf(object) + shift;
  }

  /** All entries of `pack` follow, as they lie in it, from `outputAt` on. */
  writeWholePack(pack: number, outputAt: number): void {
    this.#shifts[pack] = outputAt - PACK_HEADER_BYTES;
  }

  write(object: number, outputAt: number): void {
    this.#outputAt[indexOfObject(this.objects, object)] = outputAt;
  }

  countIn(pack: number): number {
    const first = this.#store.firstObject(pack);
    return lowerBound(this.objects, first + this.#store.objectsIn(pack)) - lowerBound(this.objects, first);
  }

  /** The selected objects that lie in `pack`, in the order of their offsets. */
  inOffsetOrder(pack: number): Uint32Array {
    const store = this.#store;
    const first = store.firstObject(pack);
    const count = store.objectsIn(pack);
    const start = lowerBound(this.objects, first);
    const end = lowerBound(this.objects, first + count);
    if (end - start === count) return store.objectsInOffsetOrder(pack);
    const ordered = this.objects.slice(start, end);
    for (let i = 0; i < ordered.length; i++) ordered[i] = store.positionOf(ordered[i] as number);
    ordered.sort();
    for (let i = 0; i < ordered.length; i++) ordered[i] = store.objectAtPosition(pack, ordered[i] as number);
    return ordered;
  }
}

function lowerBound(objects: Uint32Array, value: number): number {
  let low = 0;
  let high = objects.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((objects[middle] as number) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
