/**
 * The first pass: walks the entries of a pack as its bytes arrive in a window. Per entry: header, inflate (which finds
 * its end), CRC-32 of the raw bytes; objects that are no deltas get their name and hand over their links, deltas are kept
 * in the arena while that has room. What does not fit (compressed in half a window, inflated in the object bound) is
 * streamed. Synchronous; returns at the end of a quantum of work so that the caller can give way.
 *
 * Memory: one buffer for the object at hand, grown to the largest seen and bounded by `budget.objectBytes`.
 */
import { crc32 } from '../../../bytes/crc32.ts';
import { HotpackError } from '../../../bytes/error.ts';
import { OID_BYTES } from '../../../bytes/oid.ts';
import type { Sha1 } from '../../../bytes/sha1.ts';
import type { EntryHeader } from '../../codec/entry-header.ts';
import { createEntryHeader, parseEntryHeader } from '../../codec/entry-header.ts';
import { inflateInto, maxInflatedBytes } from '../../codec/inflate.ts';
import type { InflateStream } from '../../codec/inflate-stream.ts';
import { createInflateStream } from '../../codec/inflate-stream.ts';
import type { ObjectType } from '../../codec/object-type.ts';
import { OBJ_BLOB, OBJ_OFS_DELTA, OBJ_REF_DELTA } from '../../codec/object-type.ts';
import { PACK_HEADER_BYTES, PACK_TRAILER_BYTES, parsePackHeader } from '../../codec/pack-header.ts';
import type { IndexingBudget } from '../budget.ts';
import { DeltaArena } from './delta-arena.ts';
import { EntryTable, NONE } from '../entry-table.ts';
import { createObjectSha1, HEADROOM, hashInPlace } from '../object-hash.ts';
import type { Pacer } from '../pacer.ts';
import type { IndexingStats } from '../stats.ts';

/** `paused`: enough for one turn; `starved`: more input is needed; `complete`: only the trailer is left. */
export type ScanProgress = 'paused' | 'starved' | 'complete';

/** Takes the content of a commit, tree or tag, at `[start, start + bytes)` of `content`, valid during the call. */
export type ContentSink = (type: ObjectType, content: Uint8Array, start: number, bytes: number) => void;

interface StreamedEntry {
  readonly entry: number;
  readonly type: number;
  readonly size: number;
  readonly stream: InflateStream;
  /** Of an object that is no delta. */
  readonly sha1: Sha1 | undefined;
  /** Where content is collected that has links (bounded): HEADROOM and `size` bytes. */
  readonly collected: Uint8Array | undefined;
}

export class PackScan {
  /** Of the window handed to `run`: everything before is done with. */
  at = 0;
  /** Entries declared by the header, once seen. */
  declared = -1;
  table: EntryTable = new EntryTable(0);
  readonly arena: DeltaArena;
  refDeltas = 0;
  deltas = 0;
  private readonly budget: IndexingBudget;
  private readonly pacer: Pacer;
  private readonly stats: IndexingStats;
  private readonly sink: ContentSink;
  private readonly header: EntryHeader = createEntryHeader();
  private buffer: Uint8Array = new Uint8Array(64 * 1024);
  private streamed: StreamedEntry | undefined;

  constructor(input: { budget: IndexingBudget; pacer: Pacer; stats: IndexingStats; sink: ContentSink }) {
    this.budget = input.budget;
    this.pacer = input.pacer;
    this.stats = input.stats;
    this.sink = input.sink;
    this.arena = new DeltaArena(input.budget.deltaBytes);
  }

  /** Goes on at `at` of `window`, filled to `end`; the window's first byte is byte `windowOffset` of the pack. */
  run(window: Uint8Array, end: number, windowOffset: number): ScanProgress {
    if (this.declared < 0) {
      if (end - this.at < PACK_HEADER_BYTES) return 'starved';
      this.declared = parsePackHeader(window, this.at).objects;
      this.table = new EntryTable(this.declared);
      this.at += PACK_HEADER_BYTES;
    }
    for (;;) {
      const progress =
        this.streamed !== undefined ? this.streamOn(this.streamed, window, end) : this.next(window, end, windowOffset);
      if (progress !== undefined) return progress;
    }
  }

  private next(window: Uint8Array, end: number, windowOffset: number): ScanProgress | undefined {
    const { header, table } = this;
    const start = this.at;
    if (table.count === this.declared) {
      if (end - start > PACK_TRAILER_BYTES) throw malformed('bytes after the trailer');
      return 'complete';
    }
    const headerBytes = parseEntryHeader(window, start, end, header);
    if (headerBytes < 0) return 'starved';
    const { type, size } = header;
    const isDelta = type === OBJ_OFS_DELTA || type === OBJ_REF_DELTA;
    const dataAt = start + headerBytes;
    let consumed = -1;
    let content = this.buffer;
    let reserved: Uint8Array | undefined;
    const fits = size <= this.budget.objectBytes;
    if (fits && size <= maxInflatedBytes(end - dataAt)) {
      if (isDelta) reserved = this.arena.reserve(size);
      if (reserved === undefined) {
        content = this.bufferFor(size);
        consumed = inflateInto(window, dataAt, end, content.subarray(HEADROOM, HEADROOM + size));
      } else {
        consumed = inflateInto(window, dataAt, end, reserved);
      }
    }
    if (consumed < 0) {
      if (fits && end - start <= window.length >> 1) return 'starved';
      const entry = this.begin(window, windowOffset + start);
      table.crcs[entry] = crc32(window.subarray(start, dataAt));
      this.streamed = this.openStream(entry, type, size);
      this.at = dataAt;
      return undefined;
    }
    const entry = this.begin(window, windowOffset + start);
    const entryEnd = dataAt + consumed;
    table.crcs[entry] = crc32(window.subarray(start, entryEnd));
    this.at = entryEnd;
    this.stats.inflated++;
    this.stats.bytesInflated += size;
    if (!isDelta) this.named(entry, type as ObjectType, content, size);
    else if (reserved !== undefined) this.arena.keep(entry, size);
    return this.pacer.spend(size) ? 'paused' : undefined;
  }

  /** Adds the entry whose header was just parsed, with its base. */
  private begin(window: Uint8Array, offset: number): number {
    const { header, table } = this;
    const entry = table.add(header.type, offset);
    if (header.type === OBJ_OFS_DELTA) {
      const base = table.entryAt(offset - header.baseDistance);
      if (base === NONE) {
        throw new HotpackError('malformed_pack', 'delta base where no entry begins', {
          detail: { offset, distance: header.baseDistance },
        });
      }
      table.parents[entry] = base;
      this.deltas++;
    } else if (header.type === OBJ_REF_DELTA) {
      const at = header.baseOidAt;
      table.names.set(window.subarray(at, at + OID_BYTES), entry * OID_BYTES);
      this.refDeltas++;
      this.deltas++;
    }
    return entry;
  }

  private named(entry: number, type: ObjectType, content: Uint8Array, size: number): void {
    hashInPlace(type, { buffer: content, size }, { names: this.table.names, at: entry * OID_BYTES });
    this.stats.hashed++;
    if (type !== OBJ_BLOB) this.sink(type, content, HEADROOM, size);
  }

  private openStream(entry: number, type: number, size: number): StreamedEntry {
    const isDelta = type === OBJ_OFS_DELTA || type === OBJ_REF_DELTA;
    const hasLinks = !isDelta && type !== OBJ_BLOB;
    if (hasLinks && size > this.budget.objectBytes) {
      throw new HotpackError('limit_exceeded', 'a commit, tree or tag too large to be looked into', {
        detail: { bytes: size, limit: this.budget.objectBytes },
      });
    }
    return {
      entry,
      type,
      size,
      stream: createInflateStream(size),
      sha1: isDelta || hasLinks ? undefined : createObjectSha1(type as ObjectType, size),
      // Bounded by the object bound, and half a window of input has come already.
      collected: hasLinks ? this.bufferFor(size) : undefined,
    };
  }

  private streamOn(streamed: StreamedEntry, window: Uint8Array, end: number): ScanProgress | undefined {
    const { entry, stream, sha1, collected } = streamed;
    if (this.at >= end) return 'starved';
    // A piece of input makes at most a thousand times as much; small pieces keep a turn short.
    const stop = Math.min(end, this.at + 16 * 1024);
    const before = stream.outputBytes;
    let filled = HEADROOM + before;
    const consumed = stream.push(window, this.at, stop, (piece) => {
      sha1?.update(piece);
      if (collected !== undefined && filled + piece.length <= collected.length) {
        collected.set(piece, filled);
        filled += piece.length;
      }
    });
    const { table } = this;
    table.crcs[entry] = crc32(window.subarray(this.at, this.at + consumed), table.crcs[entry]);
    this.at += consumed;
    if (stream.done) {
      this.streamed = undefined;
      this.stats.inflated++;
      this.stats.bytesInflated += streamed.size;
      if (sha1 !== undefined) {
        table.names.set(sha1.digest(), entry * OID_BYTES);
        this.stats.hashed++;
      } else if (collected !== undefined) {
        this.named(entry, streamed.type as ObjectType, collected, streamed.size);
      }
    }
    return this.pacer.spend(stream.outputBytes - before) ? 'paused' : undefined;
  }

  /** The buffer, large enough for the headroom and `size` (bounded by the caller). */
  private bufferFor(size: number): Uint8Array {
    if (this.buffer.length < HEADROOM + size) {
      this.buffer = new Uint8Array(Math.max(HEADROOM + size, this.buffer.length * 2));
    }
    return this.buffer;
  }
}

function malformed(what: string): HotpackError {
  return new HotpackError('malformed_pack', `malformed pack: ${what}`);
}
