/**
 * What is known of every object while packs are merged, by object number of their catalog (pack by pack, within each in the
 * order of its idx), as struct of arrays: 25 bytes an object beside the catalog's 36.
 *
 * An object that several packs hold goes along once, as the first of them holds it: so a delta's base lies in the same
 * source as the delta or in one before it, and no ring of deltas can come about. A source that holds an object twice is
 * refused, since between its copies there could be one.
 */
import { HotpackError } from '../../bytes/error.ts';
import { compareOidBytes, OID_BYTES, oidFromBytes } from '../../bytes/oid.ts';
import type { PackCatalog } from '../reading/pack-catalog.ts';

/**
 * Where an object goes: nowhere (an earlier source has it, or it is left out), among the entries of its source, behind all those
 * (it lies in its source's tail, but in the body of a later one), or into the tail of the merged pack.
 */
export const ELSEWHERE = 0;
export const BODY = 1;
export const PROMOTED = 2;
export const TAIL = 3;

export interface MergeTables {
  /** How many objects go along. */
  readonly objects: number;
  /** Of these, how many into the tail. */
  readonly tailObjects: number;
  /** `ELSEWHERE` … `TAIL`. */
  readonly places: Uint8Array;
  /** Where the entry begins in the merged pack; 0 while it is not written. */
  readonly offsets: Float64Array;
  /** CRC-32 of the entry as it is in the merged pack. */
  readonly crcs: Uint32Array;
  /** The objects that go along, in the order of their names. */
  readonly order: Uint32Array;
  /** The same, in the order of the merged pack; filled as that is written. */
  readonly sequence: Uint32Array;
}

/** Where an object goes, by the numbers of all its copies, the first source's first. */
export type PlaceOf = (copies: readonly number[]) => number;

/** All objects of the sources go along. */
export interface AllObjects {
  readonly kind: 'all';
  /** Of each source: where the bases that completed it begin. */
  readonly tailOffsets: readonly number[];
  /** False where no pack stands before the sources: then nothing in them is elsewhere too, and the merged pack has no tail. */
  readonly keepsTail: boolean;
}

export function placesOfAll(catalog: PackCatalog, { tailOffsets, keepsTail }: AllObjects): PlaceOf {
  const isInTail = (object: number): boolean =>
    catalog.offsetOf(object) >= (tailOffsets[catalog.packOf(object)] as number);
  return (copies) => {
    if (!isInTail(copies[0] as number)) return BODY;
    return keepsTail && copies.every(isInTail) ? TAIL : PROMOTED;
  };
}

export function createMergeTables(catalog: PackCatalog, placeOf: PlaceOf): MergeTables {
  const total = catalog.objectCount;
  const places = new Uint8Array(total);
  const order = new Uint32Array(total);
  let objects = 0;
  let tailObjects = 0;
  for (const copies of copiesInNameOrder(catalog)) {
    const first = copies[0] as number;
    const place = placeOf(copies);
    places[first] = place;
    if (place === ELSEWHERE) continue;
    if (place === TAIL) tailObjects++;
    order[objects++] = first;
  }
  return {
    objects,
    tailObjects,
    places,
    offsets: new Float64Array(total),
    crcs: new Uint32Array(total),
    order: order.subarray(0, objects),
    sequence: new Uint32Array(objects),
  };
}

/** All objects in the order of their names, copies of one together, that of the first source first. The array is reused. */
function* copiesInNameOrder(catalog: PackCatalog): Generator<readonly number[], void, undefined> {
  const heads = catalog.tables.map((table, pack) => ({
    names: table.idx.names,
    objects: table.objects,
    first: catalog.firsts[pack] as number,
    rank: 0,
  }));
  const copies: number[] = [];
  for (;;) {
    let least: (typeof heads)[number] | undefined;
    copies.length = 0;
    for (const head of heads) {
      if (head.rank === head.objects) continue;
      const comparison =
        least === undefined
          ? -1
          : compareOidBytes(head.names, head.rank * OID_BYTES, least.names, least.rank * OID_BYTES);
      if (comparison > 0) continue;
      if (comparison < 0) {
        copies.length = 0;
        least = head;
      }
      copies.push(head.first + head.rank);
    }
    if (least === undefined) return;
    yield copies;
    const { names, rank } = least;
    for (const head of heads) {
      if (head !== least && isSameName(head, names, rank)) head.rank++;
    }
    least.rank++;
    for (const head of heads) {
      if (isSameName(head, names, rank)) throw malformedTwice(names, rank);
    }
  }
}

function isSameName(
  head: { readonly names: Uint8Array; readonly rank: number; readonly objects: number },
  names: Uint8Array,
  rank: number,
): boolean {
  return head.rank < head.objects && compareOidBytes(head.names, head.rank * OID_BYTES, names, rank * OID_BYTES) === 0;
}

function malformedTwice(names: Uint8Array, rank: number): HotpackError {
  return new HotpackError('malformed_pack', 'a pack that holds an object twice cannot be merged', {
    detail: { oid: oidFromBytes(names, rank * OID_BYTES) },
  });
}
