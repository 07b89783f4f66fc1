/**
 * The packs of one manifest as an `ObjectStore` (for walkers) and as `PackedObjects` (for the pack writer).
 *
 * Memory: the idx files (28 bytes an object), 12 bytes an object for the entries' order, and `cacheBytes`, of which two
 * thirds hold pack bytes in blocks and one third inflated contents. A read in progress holds its own entry and its
 * object besides.
 */
import { HotpackError } from '../../bytes/error.ts';
import { forOneTaker } from '../../bytes/give-back.ts';
import { OID_BYTES, oidFromBytes, writeOidBytes } from '../../bytes/oid.ts';
import type { Oid } from '../../bytes/oid.ts';
import { BitmapLoader, type BitmapSource } from '../bitmap/load-bitmaps.ts';
import type { ObjectStore } from '../object-store.ts';
import { BlockCache } from './block-cache.ts';
import { ContentCache } from './content-cache.ts';
import { ObjectResolver } from './object-resolver.ts';
import { PackCatalog } from './pack-catalog.ts';
import type { PackTable } from './pack-table.ts';
import type { PackedObjects, OpenedPack } from './packed-objects.ts';
import { createReadCounters } from './read-counters.ts';
import type { ReadCounters } from './read-counters.ts';

const DEFAULT_MAX_OBJECT_BYTES = 64 * 1024 * 1024;

export interface ObjectStoreOptions {
  readonly packs: readonly OpenedPack[];
  /** Bytes that cached blocks and cached contents may hold together. */
  readonly cacheBytes: number;
  /** Largest content held in memory as one object; default 64 MiB. Above it `read` rejects with `limit_exceeded`. */
  readonly maxObjectBytes?: number;
  readonly counters?: ReadCounters;
  /** Absent: no pack has a bitmap. */
  readonly bitmap?: BitmapSource;
}

/** Opens the packs of one manifest. Throws `malformed_pack` where idx or rev break their format. */
export function openObjectStore(options: ObjectStoreOptions): ObjectStore & PackedObjects {
  const { cacheBytes, maxObjectBytes = DEFAULT_MAX_OBJECT_BYTES, counters = createReadCounters() } = options;
  if (!(cacheBytes >= 0)) {
    throw new HotpackError('invalid_argument', 'cacheBytes must be 0 or more', { detail: { cacheBytes } });
  }
  const catalog = new PackCatalog(options.packs);
  const contents = new ContentCache(Math.floor(cacheBytes / 3));
  const blocks = new BlockCache(
    options.packs.map(({ pack }) => pack),
    Math.floor((cacheBytes * 2) / 3),
    counters,
  );
  const resolver = new ObjectResolver({ catalog, blocks, contents, counters, maxObjectBytes });
  const bitmaps = new BitmapLoader(catalog, options.bitmap);
  const lastPack = catalog.tables.length - 1;
  const sought = new Uint8Array(OID_BYTES);
  const tableOf = (object: number): PackTable => catalog.tables[catalog.packOf(object)] as PackTable;
  const rankOf = (object: number): number => object - (catalog.firsts[catalog.packOf(object)] as number);
  const packTable = (pack: number): PackTable => {
    const table = catalog.tables[pack];
    if (table !== undefined) return table;
    throw new HotpackError('invalid_argument', `there is no pack ${pack}`, { detail: { pack } });
  };

  return {
    objectCount: catalog.objectCount,
    find(oid: Oid) {
      writeOidBytes(oid, sought);
      return catalog.find(sought, 0, lastPack);
    },
    findBytes: (table, offset) => catalog.find(table, offset, lastPack),
    oidOf: (object) => oidFromBytes(tableOf(object).idx.names, rankOf(object) * OID_BYTES),
    copyOid: (object, target, offset) => tableOf(object).idx.copyOid(rankOf(object), target, offset),
    readCached: (object) => resolver.readCached(object),
    read: (object, signal) => resolver.read(object, signal),
    typeOf: (object, signal) => resolver.typeOf(object, signal),
    sizeOf: (object, signal) => resolver.sizeOf(object, signal),
    bitmaps: () => bitmaps.load(),

    counters,
    maxObjectBytes,
    packCount: catalog.tables.length,
    packName: (pack) => packTable(pack).name,
    packBytes: (pack) => packTable(pack).packBytes,
    firstObject: (pack) => catalog.firsts[pack] as number,
    objectsIn: (pack) => packTable(pack).objects,
    packOf: (object) => catalog.packOf(object),
    offsetOf: (object) => catalog.offsetOf(object),
    entryEnd: (object) => catalog.entryEnd(object),
    positionOf: (object) => tableOf(object).positions[rankOf(object)] as number,
    objectAtPosition: (pack, position) =>
      (catalog.firsts[pack] as number) + (packTable(pack).order[position] as number),
    positionsIn: (pack) => packTable(pack).positions,
    startsIn: (pack) => packTable(pack).starts,
    objectAtOffset: (pack, offset) => catalog.objectAtOffset(pack, offset),
    positionAtOffset: (pack, offset, near) => catalog.positionAt(pack, offset, near),
    canonical: (object) => catalog.canonical(object),
    findBaseBytes: (table, offset, last) => catalog.find(table, offset, last),
    async readRange(pack, offset, length, options) {
      const span = length === 0 ? undefined : blocks.peek(pack, offset, offset + length);
      if (span !== undefined) return span.input.subarray(span.start, span.end);
      const bytes = await blocks.read(pack, offset, length, options);
      return bytes.buffer === options?.into?.buffer ? bytes : forOneTaker(bytes);
    },
    forgetBitmap: () => bitmaps.forget(),
    close() {
      bitmaps.forget();
      blocks.close();
      contents.clear();
      resolver.close();
    },
  };
}
