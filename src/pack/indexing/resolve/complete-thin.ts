/**
 * Completes a thin pack as `git index-pack --fix-thin` does: bases that only the repository has are appended as whole
 * objects, then header and trailer are rewritten. Reads the pack back once for its new checksum.
 */
import { crc32 } from '../../../bytes/crc32.ts';
import { compareOidBytes, OID_BYTES, oidFromBytes } from '../../../bytes/oid.ts';
import { HotpackError } from '../../../bytes/error.ts';
import { createSha1 } from '../../../bytes/sha1.ts';
import { deflateSync } from 'node:zlib';
import type { StorageWriter } from '../../../storage/contract.ts';
import { MAX_ENTRY_HEADER_BYTES, writeEntryHeader } from '../../codec/entry-header.ts';
import { OBJ_REF_DELTA } from '../../codec/object-type.ts';
import { PACK_HEADER_BYTES, writePackHeader } from '../../codec/pack-header.ts';
import type { ObjectStore } from '../../object-store.ts';
import type { EntryTable } from '../entry-table.ts';
import { NONE } from '../entry-table.ts';
import { createObjectSha1 } from '../object-hash.ts';
import type { Pacer } from '../pacer.ts';
import type { DeltaResolver } from './resolve-deltas.ts';
import type { IndexingStats } from '../stats.ts';
import type { WaitingDeltas } from './waiting-deltas.ts';

export interface CompletionInput {
  readonly table: EntryTable;
  readonly resolver: DeltaResolver;
  readonly waiting: WaitingDeltas;
  readonly existing: ObjectStore;
  readonly writer: StorageWriter;
  readonly signal: AbortSignal;
}

/** Appends the bases that waiting ref-deltas lack, and resolves these. Returns how many were appended. */
export async function appendMissingBases(input: CompletionInput): Promise<number> {
  const { table, resolver, existing, writer, signal } = input;
  const declared = table.count;
  table.extendLimit(input.waiting.waiting);
  for (let entry = 0; entry < declared; entry++) {
    if (table.types[entry] !== OBJ_REF_DELTA || table.parents[entry] !== NONE) continue;
    const object = existing.findBytes(table.names, entry * OID_BYTES);
    if (object < 0) continue;
    const { type, content } = existing.readCached(object) ?? (await existing.read(object, signal));
    const name = createObjectSha1(type, content.length).update(content).digest();
    if (compareOidBytes(name, 0, table.names, entry * OID_BYTES) !== 0) {
      throw new HotpackError('malformed_pack', 'a base in the repository is not what its name says', {
        detail: { oid: oidFromBytes(table.names, entry * OID_BYTES) },
      });
    }
    const header = new Uint8Array(MAX_ENTRY_HEADER_BYTES);
    const headerBytes = writeEntryHeader(header, 0, type, content.length);
    const deflated = deflateSync(content);
    const raw = new Uint8Array(headerBytes + deflated.length);
    raw.set(header.subarray(0, headerBytes));
    raw.set(deflated, headerBytes);
    const base = table.add(type, resolver.packEnd);
    table.names.set(name, base * OID_BYTES);
    table.crcs[base] = crc32(raw);
    await writer.write(raw);
    resolver.packEnd += raw.length;
    await resolver.resolveFrom(base);
  }
  return table.count - declared;
}

/** Rewrites the header for `objects` entries, and returns the checksum of the pack as it is then (still to be written). */
export async function rewriteCount(input: {
  readonly writer: StorageWriter;
  readonly objects: number;
  readonly pacer: Pacer;
  readonly stats: IndexingStats;
}): Promise<Uint8Array> {
  const { writer, stats } = input;
  const header = writePackHeader(input.objects);
  await writer.rewriteHead(header);
  const sha1 = createSha1().update(header);
  for (let at = PACK_HEADER_BYTES; at < writer.bytesWritten;) {
    const piece = await writer.read(at, Math.min(1 << 20, writer.bytesWritten - at));
    sha1.update(piece);
    stats.bytesRead += piece.length;
    at += piece.length;
    if (input.pacer.spend(piece.length)) await input.pacer.breathe();
  }
  return sha1.digest();
}
