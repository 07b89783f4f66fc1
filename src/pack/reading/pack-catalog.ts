/**
 * All packs of a manifest as one numbering: object number = number of the pack's first object + rank in its idx. Purely
 * synchronous, over tables that are in memory.
 */
import { HotpackError } from '../../bytes/error.ts';
import { PackTable } from './pack-table.ts';
import type { OpenedPack } from './packed-objects.ts';

/** Object numbers index bit sets and 32-bit arrays. */
const MAX_OBJECTS = 2 ** 31;

export class PackCatalog {
  readonly tables: readonly PackTable[];
  /** Number of each pack's first object; one more at the end, the number of all objects. */
  readonly firsts: readonly number[];
  readonly objectCount: number;
  #recentPack = 0;

  constructor(packs: readonly OpenedPack[]) {
    this.tables = packs.map((pack) => ('table' in pack ? pack.table : new PackTable(pack)));
    const firsts = [0];
    for (const table of this.tables) firsts.push((firsts.at(-1) as number) + table.objects);
    this.firsts = firsts;
    this.objectCount = firsts.at(-1) as number;
    if (this.objectCount > MAX_OBJECTS) {
      throw new HotpackError('limit_exceeded', `${this.objectCount} objects are more than one store numbers`, {
        detail: { objects: this.objectCount, limit: MAX_OBJECTS },
      });
    }
  }

  /** The number of the named object in the first of the packs 0 … `lastPack` that holds it, or -1. */
  find(table: Uint8Array, offset: number, lastPack: number): number {
    for (let pack = 0; pack <= lastPack; pack++) {
      const rank = (this.tables[pack] as PackTable).idx.find(table, offset);
      if (rank >= 0) return (this.firsts[pack] as number) + rank;
    }
    return -1;
  }

  packOf(object: number): number {
    const { firsts } = this;
    const recent = this.#recentPack;
    if (object >= (firsts[recent] as number) && object < (firsts[recent + 1] ?? 0)) return recent;
    if (!(object >= 0 && object < this.objectCount)) {
      throw new HotpackError('invalid_argument', `no object has the number ${object}`, {
        detail: { object, objects: this.objectCount },
      });
    }
    let pack = 0;
    while (object >= (firsts[pack + 1] as number)) pack++;
    this.#recentPack = pack;
    return pack;
  }

  canonical(object: number): number {
    const pack = this.packOf(object);
    if (pack === 0) return object;
    const names = this.tables[pack] as PackTable;
    const found = this.find(names.idx.names, (object - (this.firsts[pack] as number)) * 20, pack - 1);
    return found < 0 ? object : found;
  }

  offsetOf(object: number): number {
    const pack = this.packOf(object);
    return (this.tables[pack] as PackTable).offsetAt(object - (this.firsts[pack] as number));
  }

  entryEnd(object: number): number {
    const pack = this.packOf(object);
    return (this.tables[pack] as PackTable).endAt(object - (this.firsts[pack] as number));
  }

  /** The canonical number of the entry that begins at `offset` of `pack`. */
  objectAtOffset(pack: number, offset: number): number {
    const { order } = this.tables[pack] as PackTable;
    return this.canonical((this.firsts[pack] as number) + (order[this.positionAt(pack, offset)] as number));
  }

  /** As `PackTable.positionAt`; where no entry begins there, the pack is damaged. */
  positionAt(pack: number, offset: number, near?: number): number {
    const table = this.tables[pack] as PackTable;
    const position = table.positionAt(offset, near);
    if (position >= 0) return position;
    throw new HotpackError('malformed_pack', `pack ${table.name}: no entry begins at ${offset}`, {
      detail: { pack: table.name, offset },
    });
  }
}
