/**
 * The bitmaps of one pack as a whole store sees them. A set has one bit for every object of the store: first those of the
 * bitmapped pack, in the order of that pack, so that stored sets are combined without a look at single bits; then all
 * others, in the order of their numbers. An object that an earlier pack holds too has its bit in the bitmapped pack.
 *
 * Memory: the file, 70 bytes an entry, half a byte an object of the pack once types are asked for, one bit a row in work,
 * and 80 bytes for each object of the pack that an earlier pack holds too.
 */
import { OID_BYTES } from '../../bytes/oid.ts';
import { OBJ_BLOB, OBJ_COMMIT, OBJ_TAG, OBJ_TREE, type ObjectType } from '../codec/object-type.ts';
import type { PackCatalog } from '../reading/pack-catalog.ts';
import type { PackTable } from '../reading/pack-table.ts';
import type { Bitset } from '../walk/bitset.ts';
import type { BitmapFile } from './bitmap-file.ts';
import { type Ewah, orEwah, wordsOf, xorEwah } from './ewah.ts';
import type { StoredSets } from './stored-sets.ts';

export class StoreBitmaps implements StoredSets {
  readonly bits: number;
  readonly packBits: number;
  readonly #file: BitmapFile;
  readonly #table: PackTable;
  /** Number of the bitmapped pack's first object. */
  readonly #first: number;
  /** Entry by rank in the idx. */
  readonly #rows = new Map<number, number>();
  /** What an earlier pack holds too: bit by number there, and number there by bit. */
  readonly #bitOfEarlier = new Map<number, number>();
  readonly #earlierAtBit = new Map<number, number>();
  readonly #types: (Uint32Array | undefined)[] = [];
  #scratch: Uint32Array | undefined;

  constructor(file: BitmapFile, catalog: PackCatalog, pack: number) {
    this.#file = file;
    this.#table = catalog.tables[pack] as PackTable;
    this.#first = catalog.firsts[pack] as number;
    this.bits = catalog.objectCount;
    this.packBits = this.#table.objects;
    for (const [row, rank] of file.ranks.entries()) this.#rows.set(rank, row);
    for (let earlier = 0; earlier < pack; earlier++) {
      const { idx, objects } = catalog.tables[earlier] as PackTable;
      const first = catalog.firsts[earlier] as number;
      for (let rank = 0; rank < objects; rank++) {
        const here = this.#table.idx.find(idx.names, rank * OID_BYTES);
        if (here < 0 || catalog.canonical(first + rank) !== first + rank) continue;
        const bit = this.#table.positions[here] as number;
        this.#bitOfEarlier.set(first + rank, bit);
        this.#earlierAtBit.set(bit, first + rank);
      }
    }
  }

  /** How many commits have a set. */
  get rows(): number {
    return this.#file.sets.length;
  }

  bitOf(object: number): number {
    const rank = object - this.#first;
    if (rank >= this.packBits) return object;
    if (rank >= 0) return this.#table.positions[rank] as number;
    return this.#bitOfEarlier.get(object) ?? this.packBits + object;
  }

  objectAt(bit: number): number {
    if (bit >= this.packBits) return bit - this.packBits < this.#first ? bit - this.packBits : bit;
    return this.#earlierAtBit.get(bit) ?? this.#first + (this.#table.order[bit] as number);
  }

  /** Adds the objects that the bits of `words` stand for to `objects`, by their numbers. */
  addObjects(words: Uint32Array, objects: Bitset): void {
    const { order } = this.#table;
    const ownBits = this.#earlierAtBit.size === 0 ? this.packBits : 0;
    const first = this.#first;
    for (let index = 0; index < words.length; index++) {
      for (let word = words[index] as number; word !== 0; word &= word - 1) {
        const bit = (index << 5) + 31 - Math.clz32(word & -word);
        objects.add(bit < ownBits ? first + (order[bit] as number) : this.objectAt(bit));
      }
    }
  }

  rowOf(commit: number): number {
    let rank = commit - this.#first;
    if (rank < 0) {
      const bit = this.#bitOfEarlier.get(commit);
      if (bit === undefined) return -1;
      rank = this.#table.order[bit] as number;
    }
    return this.#rows.get(rank) ?? -1;
  }

  orInto(row: number, words: Uint32Array): void {
    const { sets, xorDistances } = this.#file;
    if (xorDistances[row] === 0) {
      this.#within(words, () => orEwah(sets[row] as Ewah, words));
      return;
    }
    const scratch = (this.#scratch ??= new Uint32Array(wordsOf(this.packBits)));
    scratch.fill(0);
    // A set that differs from another is the sum of all differences down to one that stands for itself.
    let at = row;
    for (let distance = -1; distance !== 0; at -= distance) {
      xorEwah(sets[at] as Ewah, scratch);
      distance = xorDistances[at] as number;
    }
    this.#within(words, () => {
      for (let i = 0; i < scratch.length; i++) words[i] = (words[i] as number) | (scratch[i] as number);
    });
  }

  typeAt(bit: number): ObjectType | undefined {
    for (const type of [OBJ_COMMIT, OBJ_TREE, OBJ_BLOB, OBJ_TAG] as const) {
      if ((((this.typeSet(type)[bit >>> 5] as number) >>> (bit & 31)) & 1) === 1) return type;
    }
    return undefined;
  }

  /** The objects of the bitmapped pack that are of `type`: as many words as the pack needs. Not to be written to. */
  typeSet(type: ObjectType): Uint32Array {
    let words = this.#types[type];
    if (words === undefined) {
      words = new Uint32Array(wordsOf(this.packBits));
      const set = words;
      this.#within(set, () => orEwah(this.#file.types[type - 1] as Ewah, set));
      this.#types[type] = set;
    }
    return words;
  }

  /** Whatever a file says of bits that no object of its pack has: here they are those of other objects, and stay. */
  #within(words: Uint32Array, change: () => void): void {
    const last = wordsOf(this.packBits) - 2;
    const before = [words[last] ?? 0, words[last + 1] ?? 0];
    change();
    for (let half = 0; half < 2 && last >= 0; half++) {
      const bits = this.packBits - (last + half) * 32;
      const mask = bits >= 32 ? 0xffff_ffff : bits <= 0 ? 0 : (1 << bits) - 1;
      words[last + half] = (before[half] as number) | ((words[last + half] as number) & mask);
    }
  }
}
