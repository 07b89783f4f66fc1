/**
 * Indexes a pack while it arrives: writes its bytes, verifies everything about it, and makes its idx and rev.
 *
 * 1. As bytes arrive: entries, CRCs, names of the objects that are no deltas (`PackScan`), the pack's checksum.
 * 2. Deltas, from each base down (`DeltaResolver`), reading the pack back through the writer; then, for a thin pack, from
 *    bases of the repository, which are appended.
 * 3. Connectivity: all that commits, trees and tags of the pack and the tips refer to is in the pack or in the repository
 *    (`LinkSet`).
 * 4. idx and rev, byte-equal to what `git index-pack --rev-index` makes of the same pack (gitformat-pack).
 *
 * Memory: tables of at most 64 bytes an object (45 for entries, 10 to 20 for links; then 36 to 64 for idx and rev, which are
 * the result) and `memoryBytes`, divided in `planBudget`. Nothing is allocated from a number that only the pack claims.
 */
import { throwIfAborted } from '../../bytes/abort.ts';
import { HotpackError, isHotpackError } from '../../bytes/error.ts';
import type { Oid } from '../../bytes/oid.ts';
import { compareOidBytes, OID_BYTES, oidFromBytes, writeOidBytes } from '../../bytes/oid.ts';
import type { StorageWriter } from '../../storage/contract.ts';
import { writeIdx } from '../codec/idx.ts';
import type { ObjectType } from '../codec/object-type.ts';
import { OBJ_BLOB, OBJ_OFS_DELTA, OBJ_REF_DELTA } from '../codec/object-type.ts';
import { PACK_TRAILER_BYTES } from '../codec/pack-header.ts';
import { writeRev } from '../codec/rev.ts';
import type { ObjectStore } from '../object-store.ts';
import { planBudget } from './budget.ts';
import { appendMissingBases, rewriteCount } from './resolve/complete-thin.ts';
import type { EntryTable } from './entry-table.ts';
import { NONE } from './entry-table.ts';
import { LinkSet } from './connect/link-set.ts';
import { containsName, sortByName } from './connect/name-order.ts';
import { forEachLink } from './connect/object-links.ts';
import { PackBlocks } from './resolve/pack-blocks.ts';
import { PackSweep, type SweepSource } from './resolve/pack-sweep.ts';
import { PackScan } from './scan/pack-scan.ts';
import { Pacer } from './pacer.ts';
import { receivePack } from './scan/receive-pack.ts';
import { DeltaResolver } from './resolve/resolve-deltas.ts';
import type { IndexingStats } from './stats.ts';
import { createIndexingStats } from './stats.ts';
import { WaitingDeltas } from './resolve/waiting-deltas.ts';

export interface IndexPackInput {
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Gets the pack; neither committed nor aborted here. */
  readonly writer: StorageWriter;
  /** What the repository has already: bases of a thin pack, ends of connectivity. */
  readonly existing: ObjectStore | undefined;
  /** Objects that must be in the pack or in `existing`. */
  readonly tips: readonly Oid[];
  /** Bytes to hold beside the tables. Objects above a sixteenth of it (at most 32 MiB) go through scratch writers. */
  readonly memoryBytes: number;
  /** The pack, once it has come whole, by streams. A quarter of `memoryBytes` is left for its budget; more comes on top. */
  readonly sweeps?: SweepSource;
  /** For objects too large for memory that have deltas or are made by one. Such a writer is always aborted in the end. */
  readonly openScratch: () => Promise<StorageWriter>;
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: IndexingProgress) => void;
}

export interface IndexingProgress {
  readonly receivedBytes: number;
  /** Declared by the pack's header; 0 until that is here. */
  readonly objects: number;
  readonly indexedObjects: number;
}

export type IndexedPack =
  | { readonly kind: 'empty' }
  | {
      readonly kind: 'indexed';
      /** SHA-1 of the pack as the writer has it now (its trailer). */
      readonly checksum: Oid;
      readonly objects: number;
      readonly packBytes: number;
      readonly idx: Uint8Array;
      readonly rev: Uint8Array;
      /** Where bases appended to complete a thin pack begin, and how many; `packBytes - 20` and 0 where none. */
      readonly tailOffset: number;
      readonly tailObjects: number;
      readonly stats: IndexingStats;
    };

/**
 * Rejects with `malformed_pack` where the pack breaks its format or has deltas without a base, `missing_object` (detail.oid)
 * where it is not connected, `limit_exceeded` for commits, trees and tags beyond the object bound, `aborted`, or what
 * the writers and the chunks reject with.
 */
export async function indexPack(input: IndexPackInput): Promise<IndexedPack> {
  const { writer, existing, signal } = input;
  throwIfAborted(signal);
  const budget = planBudget(input.memoryBytes);
  const pacer = new Pacer(signal);
  const stats = createIndexingStats();
  let links: LinkSet | undefined;
  const addLink = (table: Uint8Array, at: number): void => {
    links ??= new LinkSet(existing, scan.declared);
    links.add(table, at);
  };
  const sink = (type: ObjectType, content: Uint8Array, start: number, bytes: number): void => {
    forEachLink(type, content, { start, end: start + bytes }, addLink);
  };
  const scan = new PackScan({ budget, pacer, stats, sink });
  const report = (receivedBytes: number, indexedObjects: number): void =>
    input.onProgress?.({ receivedBytes, objects: Math.max(0, scan.declared), indexedObjects });

  let trailer = await receivePack({
    chunks: input.chunks,
    writer,
    scan,
    windowBytes: budget.windowBytes,
    pacer,
    signal,
    onProgress: (receivedBytes) => report(receivedBytes, scan.table.count - scan.deltas),
  });
  const { table, arena, deltas } = scan;
  const tailOffset = writer.bytesWritten;
  if (table.count === 0) {
    await writer.write(trailer);
    assertTips(input.tips, existing);
    return { kind: 'empty' };
  }

  linkOfsDeltas(table);
  const waiting = new WaitingDeltas(table, scan.refDeltas);
  const { sweeps } = input;
  const isSwept = sweeps !== undefined && (sweeps.when === 'always' || arena.isFull);
  const sweep = isSwept ? new PackSweep({ source: sweeps, table, arena, packEnd: tailOffset }) : undefined;
  const pack = new PackBlocks(writer, budget, { stats, sweep });
  const tools = { pack, openScratch: input.openScratch, objectBytes: budget.objectBytes, pacer, stats };
  const resolver = new DeltaResolver({ table, arena, waiting, budget, tools, sink }, tailOffset);
  const declared = table.count;
  for (let entry = 0; entry < declared; entry++) {
    if ((table.types[entry] as number) >= OBJ_OFS_DELTA) continue;
    if (sweep !== undefined) await sweep.prepare(entry);
    await resolver.resolveFrom(entry);
    if ((entry & 0x3ff) === 0) report(tailOffset, declared - deltas + resolver.resolved);
  }
  let tailObjects = 0;
  if (resolver.resolved < deltas && existing !== undefined) {
    tailObjects = await appendMissingBases({ table, resolver, waiting, existing, writer, signal });
  }
  if (resolver.resolved < deltas) {
    throw new HotpackError('malformed_pack', 'malformed pack: deltas whose base is nowhere', {
      detail: { deltas: deltas - resolver.resolved },
    });
  }
  if (tailObjects > 0) {
    trailer = await rewriteCount({ writer, objects: table.count, pacer, stats });
  }
  await writer.write(trailer);
  report(writer.bytesWritten, table.count);

  const name = new Uint8Array(OID_BYTES);
  for (const tip of input.tips) {
    writeOidBytes(tip, name);
    addLink(name, 0);
  }
  const connected = links === undefined || (links as LinkSet).allAmong(table.names, table.count);
  (links as LinkSet | undefined)?.release();
  const order = sortByName(table.names, table.count);
  if (!connected) {
    const missing = await findMissing({ ...input, table, order, resolver });
    throw new HotpackError('missing_object', 'the pack refers to an object that is nowhere', {
      detail: { oid: missing },
    });
  }
  assertNoSharedBase(table, order, scan.refDeltas);
  table.releaseLinks();
  await pacer.breathe();
  const idx = writeIdx({
    names: table.names,
    crcs: table.crcs,
    offsets: table.offsets,
    order,
    packChecksum: trailer,
  });
  const positions = new Uint32Array(order.length);
  for (let position = 0; position < order.length; position++) {
    positions[order[position] as number] = position;
  }
  const rev = writeRev(positions, trailer);
  return {
    kind: 'indexed',
    checksum: oidFromBytes(trailer),
    objects: table.count,
    packBytes: tailOffset + PACK_TRAILER_BYTES + (resolver.packEnd - tailOffset),
    idx,
    rev,
    tailOffset,
    tailObjects,
    stats,
  };
}

/** Makes every ofs-delta a child of its base, children in the order of the pack. */
function linkOfsDeltas(table: EntryTable): void {
  for (let entry = table.count - 1; entry >= 0; entry--) {
    const base = table.parents[entry] as number;
    if (base !== NONE) table.addChild(base, entry);
  }
}

/**
 * Objects may come twice, but not where a ref-delta names one as its base: git refuses such a pack, so it must never be
 * served. One bit an entry.
 */
function assertNoSharedBase(table: EntryTable, order: Uint32Array, refDeltas: number): void {
  if (refDeltas === 0) return;
  const twice = new Uint8Array(Math.ceil(order.length / 8));
  let found = false;
  for (let position = 1; position < order.length; position++) {
    const before = order[position - 1] as number;
    const entry = order[position] as number;
    if (compareOidBytes(table.names, before * OID_BYTES, table.names, entry * OID_BYTES) !== 0) continue;
    found = true;
    for (const one of [before, entry]) twice[one >> 3] = (twice[one >> 3] as number) | (1 << (one & 7));
  }
  if (!found) return;
  for (let entry = 0; entry < table.count; entry++) {
    if (table.types[entry] !== OBJ_REF_DELTA) continue;
    const base = table.parents[entry] as number;
    if ((twice[base >> 3] as number) & (1 << (base & 7))) {
      throw new HotpackError('malformed_pack', 'malformed pack: the base of a ref-delta comes twice', {
        detail: { oid: oidFromBytes(table.names, base * OID_BYTES) },
      });
    }
  }
}

function assertTips(tips: readonly Oid[], existing: ObjectStore | undefined): void {
  for (const oid of tips) {
    if (existing === undefined || existing.find(oid) < 0) {
      throw new HotpackError('missing_object', 'a tip is nowhere', { detail: { oid } });
    }
  }
}

/** Names one object that a tip or an object of the pack refers to and that is nowhere. Slow; only on the way to an error. */
async function findMissing(input: {
  readonly table: EntryTable;
  readonly order: Uint32Array;
  readonly existing: ObjectStore | undefined;
  readonly tips: readonly Oid[];
  readonly resolver: DeltaResolver;
  readonly signal: AbortSignal;
}): Promise<Oid | undefined> {
  const { table, order, existing } = input;
  let missing: Oid | undefined;
  const look = (names: Uint8Array, at: number): void => {
    if (missing !== undefined || containsName(table.names, order, names, at)) return;
    if (existing !== undefined && existing.findBytes(names, at) >= 0) return;
    missing = oidFromBytes(names, at);
  };
  const name = new Uint8Array(OID_BYTES);
  for (const tip of input.tips) {
    writeOidBytes(tip, name);
    look(name, 0);
  }
  try {
    for (let entry = 0; entry < table.count && missing === undefined; entry++) {
      throwIfAborted(input.signal);
      if (rootType(table, entry) === OBJ_BLOB) continue;
      const object = await input.resolver.contentOf(entry);
      if (object === undefined) continue;
      forEachLink(object.type, object.content, { start: 0, end: object.content.length }, look);
    }
  } catch (error) {
    // A pack made so that looking would take for ever: it is refused without a name.
    if (!isHotpackError(error, 'limit_exceeded')) throw error;
  }
  return missing;
}

function rootType(table: EntryTable, entry: number): number {
  let at = entry;
  while (table.parents[at] !== NONE) at = table.parents[at] as number;
  return table.types[at] as number;
}
