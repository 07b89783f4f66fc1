/**
 * Makes one pack out of several by copying their stored entries: nothing is inflated or deflated, and every delta keeps its
 * base. Where only some of the objects go along (`MergeChoice`), a delta whose base stays behind is put together and deflated
 * whole; no other entry is.
 *
 * 1. Names of all sources are merged; of copies the first source's goes along (`merge-tables.ts`).
 * 2. Entries are written source by source in the order of their offsets, then what only tails hold. A delta names its base by
 *    distance where that stands before it, else by name. Where that changes the entry's header, its CRC is computed anew;
 *    the CRC of every stored entry is checked on the way, so that damage does not spread.
 * 3. idx and rev follow from offsets, CRCs and names that are known: byte-equal to what `git index-pack --rev-index` would make.
 *
 * Input comes in windows of 1 MiB, the next one on its way while one is worked on.
 * Memory: 61 bytes an object of the sources (36 for their tables), two windows, a chunk of output.
 */
import { crc32 } from '../../bytes/crc32.ts';
import { HotpackError } from '../../bytes/error.ts';
import type { Oid } from '../../bytes/oid.ts';
import { OID_BYTES, oidFromBytes } from '../../bytes/oid.ts';
import { writeOffsetVarint } from '../../bytes/varint.ts';
import type { StorageWriter } from '../../storage/contract.ts';
import {
  createEntryHeader,
  MAX_ENTRY_HEADER_BYTES,
  parseEntryHeader,
  writeEntryHeader,
} from '../codec/entry-header.ts';
import { idxPieces } from '../codec/idx.ts';
import { OBJ_OFS_DELTA, OBJ_REF_DELTA } from '../codec/object-type.ts';
import { PACK_TRAILER_BYTES, writePackHeader } from '../codec/pack-header.ts';
import { writeRev } from '../codec/rev.ts';
import { Pacer } from '../indexing/pacer.ts';
import type { ObjectStore } from '../object-store.ts';
import { PackCatalog } from '../reading/pack-catalog.ts';
import type { PackTable } from '../reading/pack-table.ts';
import type { OpenedPack, PackedObjects } from '../reading/packed-objects.ts';
import type { Bitset } from '../walk/bitset.ts';
import { PackOutput } from '../writing/pack-output.ts';
import type { PackWindow } from '../writing/windows/pack-windows.ts';
import { planWindows, WINDOW_BYTES } from '../writing/windows/pack-windows.ts';
import { deflateObject } from '../writing/objects/whole-object.ts';
import type { AllObjects, MergeTables, PlaceOf } from './merge-tables.ts';
import { BODY, createMergeTables, ELSEWHERE, placesOfAll, PROMOTED, TAIL } from './merge-tables.ts';

const AS_STORED = 'as-stored';
const WHOLE = 'whole';

/** Some objects of the sources go along, named by the numbers of their first copies. */
export interface ChosenObjects {
  readonly kind: 'chosen';
  readonly body: Bitset;
  /** Bases of some in `body` that packs hold which will stand before the merged one. */
  readonly tail: Bitset;
  /** The same sources: reads what must be put together. */
  readonly store: ObjectStore & PackedObjects;
  /** As of `PackOptions`. */
  readonly openScratch: () => Promise<StorageWriter>;
}

export interface MergeInput {
  /** In manifest order; each is self-contained. */
  readonly sources: readonly OpenedPack[];
  readonly objects: AllObjects | ChosenObjects;
  /** Gets the pack; neither committed nor aborted here. */
  readonly writer: StorageWriter;
  readonly signal: AbortSignal;
}

export interface MergedPack {
  /** SHA-1 trailer of the pack. */
  readonly checksum: Oid;
  readonly objects: number;
  readonly packBytes: number;
  /** As in `IndexedPack`. */
  readonly tailOffset: number;
  readonly tailObjects: number;
  /** To be taken once. */
  readonly idx: Iterable<Uint8Array>;
  readonly rev: Uint8Array;
}

/** Rejects with `malformed_pack` where a source is damaged, with `aborted`, or what writer and sources reject with. */
export async function mergePacks(input: MergeInput): Promise<MergedPack> {
  const catalog = new PackCatalog(input.sources);
  const { objects } = input;
  const tables = createMergeTables(
    catalog,
    objects.kind === 'all' ? placesOfAll(catalog, objects) : placesOfChosen(objects),
  );
  const merge = new PackMerge(input, catalog, tables);
  for (const place of [BODY, PROMOTED]) await merge.writePlace(place);
  const tailOffset = merge.position;
  await merge.writePlace(TAIL);
  const trailer = await merge.finish();
  return {
    checksum: oidFromBytes(trailer),
    objects: tables.objects,
    packBytes: merge.position,
    tailOffset,
    tailObjects: tables.tailObjects,
    rev: writeRev(merge.positions(), trailer),
    idx: idxPieces({
      order: tables.order,
      crcs: tables.crcs,
      offsets: tables.offsets,
      packChecksum: trailer,
      copyName: (object, target, at) => tableOf(catalog, object).idx.copyOid(rankOf(catalog, object), target, at),
    }),
  };
}

class PackMerge {
  readonly #input: MergeInput;
  readonly #catalog: PackCatalog;
  readonly #tables: MergeTables;
  readonly #output = new PackOutput();
  readonly #pacer: Pacer;
  readonly #header = createEntryHeader();
  #written = 0;

  constructor(input: MergeInput, catalog: PackCatalog, tables: MergeTables) {
    this.#input = input;
    this.#catalog = catalog;
    this.#tables = tables;
    this.#pacer = new Pacer(input.signal);
    this.#output.append(writePackHeader(tables.objects));
  }

  /** Bytes of the pack so far. */
  get position(): number {
    return this.#output.position;
  }

  async writePlace(place: number): Promise<void> {
    for (let pack = 0; pack < this.#catalog.tables.length; pack++) {
      const { order, starts } = this.#catalog.tables[pack] as PackTable;
      const first = this.#catalog.firsts[pack] as number;
      const { places } = this.#tables;
      const positions = Uint32Array.from(order.keys()).filter(
        (position) => places[first + (order[position] as number)] === place,
      );
      const ordered = positions.map((position) => first + (order[position] as number));
      let next = this.#startReading(pack, planWindows(starts, positions));
      while (next !== undefined) {
        const { window, windows, reading } = next;
        const bytes = await reading;
        next = this.#startReading(pack, windows);
        await this.#writeWindow(pack, ordered, { window, bytes });
        if (this.#pacer.spend(bytes.length)) await this.#pacer.breathe();
      }
    }
  }

  /** Writes the trailer, and gives it. */
  async finish(): Promise<Uint8Array> {
    let last: Uint8Array = new Uint8Array();
    for (const chunk of this.#output.finish()) {
      await this.#input.writer.write(chunk);
      last = chunk;
    }
    return last.slice(-PACK_TRAILER_BYTES);
  }

  /** Position in the idx of each entry in the order of the pack. */
  positions(): Uint32Array {
    const { order, sequence, offsets } = this.#tables;
    const ranks = new Uint32Array(offsets.length);
    for (let position = 0; position < order.length; position++) ranks[order[position] as number] = position;
    return sequence.map((object) => ranks[object] as number);
  }

  #startReading(
    pack: number,
    windows: Generator<PackWindow, void, undefined>,
  ):
    | {
        readonly window: PackWindow;
        readonly windows: Generator<PackWindow, void, undefined>;
        readonly reading: Promise<Uint8Array>;
      }
    | undefined {
    const { done, value: window } = windows.next();
    if (done === true) return undefined;
    const reading = this.#read(pack, window.from, window.to);
    // Who fails before it is awaited fails for another reason.
    reading.catch(() => undefined);
    return { window, windows, reading };
  }

  /** The first mebibyte of `[from, to)`. */
  #read(pack: number, from: number, to: number): Promise<Uint8Array> {
    const source = this.#input.sources[pack] as OpenedPack;
    return source.pack.read(from, Math.min(to - from, WINDOW_BYTES), this.#input.signal);
  }

  async #writeWindow(
    pack: number,
    ordered: Uint32Array,
    read: { readonly window: PackWindow; readonly bytes: Uint8Array },
  ): Promise<void> {
    const { window, bytes } = read;
    const output = this.#output;
    for (let i = window.first; i < window.last; i++) {
      const object = ordered[i] as number;
      const start = this.#catalog.offsetOf(object) - window.from;
      const entryEnd = this.#catalog.entryEnd(object) - window.from;
      const end = Math.min(entryEnd, bytes.length);
      const headerBytes = parseEntryHeader(bytes, start, end, this.#header);
      if (headerBytes < 0) throw this.#malformed(object, 'its header does not end');
      const header = this.#newHeader(pack, object, bytes);
      this.#tables.offsets[object] = output.position;
      this.#tables.sequence[this.#written++] = object;
      let stored = crc32(bytes.subarray(start, end));
      let made = stored;
      if (header === AS_STORED) {
        output.append(bytes, start, end);
      } else if (header === WHOLE) {
        made = await this.#writeWhole(object);
      } else {
        output.append(header);
        output.append(bytes, start + headerBytes, end);
        made = crc32(bytes.subarray(start + headerBytes, end), crc32(header));
      }
      // What of a long entry lies behind its first window.
      for (let at = window.from + end; at < window.from + entryEnd;) {
        await this.#flush();
        const piece = await this.#read(pack, at, window.from + entryEnd);
        at += piece.length;
        stored = crc32(piece, stored);
        if (header === WHOLE) continue;
        made = header === AS_STORED ? stored : crc32(piece, made);
        output.append(piece);
      }
      if (stored !== tableOf(this.#catalog, object).idx.crcAt(rankOf(this.#catalog, object)))
        throw this.#malformed(object, 'its bytes have changed');
      this.#tables.crcs[object] = made;
    }
    await this.#flush();
  }

  /** Another header for the entry whose own was just parsed, or how it goes out instead. */
  #newHeader(pack: number, object: number, bytes: Uint8Array): Uint8Array | typeof AS_STORED | typeof WHOLE {
    const header = this.#header;
    const isNamed = header.type === OBJ_REF_DELTA;
    if (!isNamed && header.type !== OBJ_OFS_DELTA) return AS_STORED;
    const catalog = this.#catalog;
    const base = isNamed
      ? catalog.find(bytes, header.baseOidAt, pack)
      : catalog.objectAtOffset(pack, catalog.offsetOf(object) - header.baseDistance);
    const isLeftOut = base < 0 || this.#tables.places[base] === ELSEWHERE;
    if (base >= 0 && isLeftOut && this.#input.objects.kind === 'chosen') return WHOLE;
    if (isLeftOut) throw this.#malformed(object, 'the base of its delta is not there');
    const baseAt = this.#tables.offsets[base] as number;
    const fresh = new Uint8Array(MAX_ENTRY_HEADER_BYTES);
    if (baseAt > 0) {
      const distance = this.#output.position - baseAt;
      if (distance === header.baseDistance) return AS_STORED;
      const at = writeEntryHeader(fresh, 0, OBJ_OFS_DELTA, header.size);
      return fresh.subarray(0, writeOffsetVarint(distance, fresh, at));
    }
    if (isNamed) return AS_STORED;
    const at = writeEntryHeader(fresh, 0, OBJ_REF_DELTA, header.size);
    tableOf(catalog, base).idx.copyOid(rankOf(catalog, base), fresh, at);
    return fresh.subarray(0, at + OID_BYTES);
  }

  /** Returns the CRC-32 of the new entry. */
  async #writeWhole(object: number): Promise<number> {
    const { objects, signal } = this.#input;
    if (objects.kind === 'all') throw this.#malformed(object, 'the base of its delta is not there');
    const { store, openScratch } = objects;
    let made = 0;
    for await (const piece of deflateObject(store, object, { signal, openScratch })) {
      made = crc32(piece, made);
      this.#output.append(piece);
      await this.#flush();
    }
    return made;
  }

  async #flush(): Promise<void> {
    for (const chunk of this.#output.take()) await this.#input.writer.write(chunk);
  }

  #malformed(object: number, what: string): HotpackError {
    const pack = tableOf(this.#catalog, object).name;
    const offset = this.#catalog.offsetOf(object);
    return new HotpackError('malformed_pack', `pack ${pack}, entry at ${offset}: ${what}`, {
      detail: { pack, offset },
    });
  }
}

function placesOfChosen({ body, tail }: ChosenObjects): PlaceOf {
  return ([first = 0]) => (body.has(first) ? BODY : tail.has(first) ? TAIL : ELSEWHERE);
}

function tableOf(catalog: PackCatalog, object: number): PackTable {
  return catalog.tables[catalog.packOf(object)] as PackTable;
}

function rankOf(catalog: PackCatalog, object: number): number {
  return object - (catalog.firsts[catalog.packOf(object)] as number);
}
