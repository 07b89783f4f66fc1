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
  outputAts: Float64Array | undefined;
  /** Where the pack is copied whole: how much further its entries begin in the output than in the pack. */
  shift: number | undefined;
}

export class SelectedObjects {
  readonly #store: PackedObjects;
  /** By pack. */
  readonly #taken: (Taken | undefined)[] = [];

  constructor(objects: Uint32Array, store: PackedObjects & { readonly objectCount: number }) {
    this.#store = store;
    let at = 0;
    for (let pack = 0; pack < store.packCount; pack++) {
      const positions = new Bitset(store.objectsIn(pack));
      const from = at;
      at = addPositions(positions, { objects, from, first: store.firstObject(pack), table: store.positionsIn(pack) });
      const count = at - from;
      this.#taken.push(count === 0 ? undefined : { positions, count, outputAts: undefined, shift: undefined });
    }
    if (at === objects.length) return;
    throw new HotpackError('invalid_argument', 'selected objects must be numbers of the store, ascending', {
      detail: { index: at, object: objects[at], objects: store.objectCount },
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
    if (taken === undefined) return -1;
    if (taken.shift !== undefined) return (this.#store.startsIn(pack)[position] as number) + taken.shift;
    const written = taken.outputAts?.[position] ?? 0;
    return written > 0 || taken.positions.has(position) ? written : -1;
  }

  /** All entries of `pack` follow, as they lie in it, from `outputAt` on. */
  writeWholePack(pack: number, outputAt: number): void {
    (this.#taken[pack] as Taken).shift = outputAt - PACK_HEADER_BYTES;
  }

  /** What `outputAt` gives for entries of `pack`, which has some that go along, by position: to be filled in as they are written. */
  outputsIn(pack: number): Float64Array {
    const taken = this.#taken[pack] as Taken;
    taken.outputAts ??= new Float64Array(this.#store.objectsIn(pack));
    return taken.outputAts;
  }
}

/** Adds the positions of those of one pack to `positions`: numbers from `objects[from]` on, as long as they ascend within the pack. */
function addPositions(
  positions: Bitset,
  part: {
    readonly objects: Uint32Array;
    readonly from: number;
    readonly first: number;
    readonly table: ArrayLike<number>;
  },
): number {
  const { objects, from, first, table } = part;
  const { words } = positions;
  const { length } = table;
  let at = from;
  for (let before = -1; at < objects.length; at++) {
    const rank = (objects[at] as number) - first;
    if (rank <= before || rank >= length) break;
    before = rank;
    const position = table[rank] as number;
    words[position >>> 5] = (words[position >>> 5] as number) | (1 << (position & 31));
  }
  return at;
}
