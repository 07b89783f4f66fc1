/**
 * The objects of one pack being written: which they are, by their positions in the packs they come from, and where each begins in
 * the output. A bit for each object of those packs and, once something was written of one, 8 bytes for each of its objects; 4
 * bytes for each that is taken from the pack in work.
 */
import { HotpackError } from '../../bytes/error.ts';
import { PACK_HEADER_BYTES } from '../codec/pack-header.ts';
import type { PackedObjects } from '../reading/packed-objects.ts';
import { Bitset } from '../walk/bitset.ts';

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

/** What of one pack goes along. */
interface Taken {
  readonly positions: Bitset;
  readonly count: number;
  /** By position: where the entry begins in the output, 0 while it is not written. */
  outputAt: Float64Array | undefined;
  /** Where the pack is copied whole: how much further its entries begin in the output than in the pack. */
  shift: number | undefined;
}

export class SelectedObjects {
  readonly #store: PackedObjects;
  /** By pack. */
  readonly #taken: readonly (Taken | undefined)[];

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
    this.#store = store;
    let at = 0;
    this.#taken = Array.from({ length: store.packCount }, (_, pack): Taken | undefined => {
      const from = at;
      const behind = store.firstObject(pack) + store.objectsIn(pack);
      while (at < objects.length && (objects[at] as number) < behind) at++;
      if (at === from) return undefined;
      const positions = new Bitset(store.objectsIn(pack));
      for (let i = from; i < at; i++) positions.add(store.positionOf(objects[i] as number));
      return { positions, count: at - from, outputAt: undefined, shift: undefined };
    });
  }

  /** How many go along of `pack`. */
  countIn(pack: number): number {
    return this.#taken[pack]?.count ?? 0;
  }

  /** Their positions, ascending. */
  positionsIn(pack: number): Uint32Array {
    return this.#taken[pack]?.positions.toNumbers() ?? new Uint32Array(0);
  }

  /** Where the entry at `position` of `pack` begins in the output; 0: it will follow; -1: it does not go along. */
  outputAt(pack: number, position: number): number {
    const taken = this.#taken[pack];
    if (taken === undefined || !taken.positions.has(position)) return -1;
    if (taken.shift !== undefined) return (this.#store.startsIn(pack)[position] as number) + taken.shift;
    return taken.outputAt?.[position] ?? 0;
  }

  /** All entries of `pack` follow, as they lie in it, from `outputAt` on. */
  writeWholePack(pack: number, outputAt: number): void {
    (this.#taken[pack] as Taken).shift = outputAt - PACK_HEADER_BYTES;
  }

  write(pack: number, position: number, outputAt: number): void {
    const taken = this.#taken[pack] as Taken;
    taken.outputAt ??= new Float64Array(this.#store.objectsIn(pack));
    taken.outputAt[position] = outputAt;
  }
}
