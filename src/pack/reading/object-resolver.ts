/**
 * Objects out of entries: down the delta chain by headers until a whole object or a cached one, then up again, one delta
 * at a time. The loop is iterative and can stop at any entry whose bytes are not in memory: a `Resolution` holds how far
 * it came, so that the asynchronous path loads that entry and goes on, however small the cache is; the synchronous
 * path gives up. Each step up is kept in the content cache, since neighbours in a pack share bases.
 *
 * A chain of n deltas costs n headers and n inflations at most, and 8 bytes each. Chains cannot grow for ever: a
 * ref-delta of a damaged pack can close a ring, which is found by comparing with an object seen before (Brent).
 *
 * Peak memory beside the caches: two objects and one delta of at most `maxObjectBytes` for each read in progress.
 */
import { throwIfAborted } from '../../bytes/abort.ts';
import { HotpackError } from '../../bytes/error.ts';
import { applyDeltaInto, createDeltaHeader, maxResultBytes, parseDeltaHeader } from '../codec/delta.ts';
import { createEntryHeader, MAX_ENTRY_HEADER_BYTES, parseEntryHeader } from '../codec/entry-header.ts';
import { OBJ_OFS_DELTA, OBJ_REF_DELTA } from '../codec/object-type.ts';
import type { ObjectType } from '../codec/object-type.ts';
import { createInflateStream } from '../codec/inflate-stream.ts';
import { inflateInto, inflateWhole, NATIVE_BYTES } from '../codec/inflate.ts';
import type { GitObject } from '../object-store.ts';
import type { BlockCache, Span } from './block-cache.ts';
import type { ContentCache } from './content-cache.ts';
import type { PackCatalog } from './pack-catalog.ts';
import type { PackTable } from './pack-table.ts';
import type { ReadCounters } from './read-counters.ts';

/** An entry up to this long is loaded whole when its header is asked for. */
const WHOLE_ENTRY_BYTES = 64 * 1024;
/** Deltas up to this long are inflated into one array that is kept. */
const SCRATCH_BYTES = 16 * 1024;
/** Bytes of an entry that nearly always hold the first block's tables and a delta's two sizes. */
const SIZES_BYTES = 1024;
const DELTA_SIZES_BYTES = 18;

/**
 * How much of an entry must be there: its header, enough to know a delta's sizes, all of it; `small-entry` is all of an
 * entry that is short and the header of a longer one.
 */
type Extent = 'header' | 'sizes' | 'entry' | 'small-entry';

const NO_BYTES = new Uint8Array(0);

interface Resolution {
  /** Object that is looked at next on the way down. */
  at: number;
  /** Deltas passed on the way down, outermost first. */
  readonly chain: number[];
  /** What the innermost delta of `chain` applies to, once found. */
  base: GitObject | undefined;
  /** Steps down; `landmark` is the object seen at the last power of two of them. */
  steps: number;
  landmark: number;
  /** Bytes that were loaded for it, `[from, from + length)` of `pack`: they may not be in the cache any more. */
  loaded: Span | undefined;
  pack: number;
  from: number;
  to: number;
}

export class ObjectResolver {
  readonly #catalog: PackCatalog;
  readonly #blocks: BlockCache;
  readonly #contents: ContentCache;
  readonly #counters: ReadCounters;
  readonly #maxObjectBytes: number;
  readonly #header = createEntryHeader();
  readonly #deltaHeader = createDeltaHeader();
  readonly #attempt = createResolution();
  readonly #scratch = new Uint8Array(SCRATCH_BYTES);
  /** The entry that `#open` opened: its zlib stream is `[#start, #end)` of `#input`. */
  #input: Uint8Array = NO_BYTES;
  #start = 0;
  #end = 0;
  #pack = 0;
  /** The open entry's object, -1 if none is; and whether all of the entry is there. */
  #opened = -1;
  #isWhole = false;

  constructor(parts: {
    readonly catalog: PackCatalog;
    readonly blocks: BlockCache;
    readonly contents: ContentCache;
    readonly counters: ReadCounters;
    readonly maxObjectBytes: number;
  }) {
    this.#catalog = parts.catalog;
    this.#blocks = parts.blocks;
    this.#contents = parts.contents;
    this.#counters = parts.counters;
    this.#maxObjectBytes = parts.maxObjectBytes;
  }

  readCached(object: number): GitObject | undefined {
    const cached = this.#contents.get(object);
    if (cached !== undefined) return cached;
    const attempt = this.#attempt;
    restart(attempt, object);
    const found = this.#advance(attempt);
    attempt.base = undefined;
    return found;
  }

  async read(object: number, signal?: AbortSignal): Promise<GitObject> {
    const resolution = createResolution();
    restart(resolution, object);
    for (;;) {
      throwIfAborted(signal);
      const found = this.#advance(resolution);
      if (found !== undefined) return found;
      await this.#load(resolution, signal);
    }
  }

  async typeOf(object: number, signal?: AbortSignal): Promise<ObjectType> {
    const resolution = createResolution();
    restart(resolution, object);
    for (;;) {
      throwIfAborted(signal);
      const cached = this.#contents.get(resolution.at);
      if (cached !== undefined) return cached.type;
      if (!this.#open(resolution.at, resolution, 'header')) {
        await this.#load(resolution, signal);
        continue;
      }
      const type = this.#header.type;
      if (type !== OBJ_OFS_DELTA && type !== OBJ_REF_DELTA) return type;
      this.#descend(resolution);
    }
  }

  async sizeOf(object: number, signal?: AbortSignal): Promise<number> {
    const resolution = createResolution();
    restart(resolution, object);
    for (;;) {
      throwIfAborted(signal);
      const cached = this.#contents.get(object);
      if (cached !== undefined) return cached.content.byteLength;
      if (this.#open(object, resolution, 'header')) {
        const type = this.#header.type;
        if (type !== OBJ_OFS_DELTA && type !== OBJ_REF_DELTA) return this.#header.size;
        const bytes = this.#resultSize(object, resolution);
        if (bytes !== undefined) return bytes;
      }
      await this.#load(resolution, signal);
    }
  }

  /** Lets go of the bytes that were opened last. */
  close(): void {
    this.#opened = -1;
    this.#input = NO_BYTES;
  }

  /** Goes on until the object is there, or until an entry is missing, which `resolution` then names. */
  #advance(resolution: Resolution): GitObject | undefined {
    while (resolution.base === undefined) {
      const object = resolution.at;
      const cached = this.#contents.get(object);
      if (cached !== undefined) {
        resolution.base = cached;
        break;
      }
      if (!this.#open(object, resolution, 'small-entry')) return undefined;
      const { type, size } = this.#header;
      if (type === OBJ_OFS_DELTA || type === OBJ_REF_DELTA) {
        const next = resolution.at;
        this.#descend(resolution);
        resolution.chain.push(next);
        continue;
      }
      this.#checkSize(object, size);
      if (!this.#open(object, resolution, 'entry')) return undefined;
      const content = this.#inflateContent(object, size);
      resolution.base = { type, content };
      this.#contents.put(object, resolution.base);
    }
    const { chain } = resolution;
    while (chain.length > 0) {
      const object = chain.at(-1) as number;
      if (!this.#open(object, resolution, 'entry')) return undefined;
      const base: GitObject = resolution.base;
      const delta = this.#inflateDelta(object);
      const content = this.#contents.allocate(this.#deltaHeader.resultSize);
      applyDeltaInto(base.content, delta, { start: 0, end: delta.length }, content);
      resolution.base = { type: base.type, content };
      this.#contents.put(object, resolution.base);
      chain.pop();
    }
    return resolution.base;
  }

  /** From the delta whose header was just opened to its base. */
  #descend(resolution: Resolution): void {
    const header = this.#header;
    const object = resolution.at;
    let base: number;
    if (header.type === OBJ_OFS_DELTA) {
      base = this.#catalog.objectAtOffset(this.#pack, this.#catalog.offsetOf(object) - header.baseDistance);
    } else {
      base = this.#catalog.find(this.#input, header.baseOidAt, this.#pack);
      if (base < 0) throw this.#malformed(object, 'the base of its delta is not there');
    }
    const steps = ++resolution.steps;
    if (base === resolution.landmark || base === object) throw this.#malformed(object, 'its delta chain is a ring');
    if ((steps & (steps - 1)) === 0) resolution.landmark = base;
    resolution.at = base;
  }

  /** Makes the object's entry, as far as `extent` says, the open one; false, and named in `resolution`, if that is missing. */
  #open(object: number, resolution: Resolution, extent: Extent): boolean {
    if (object === this.#opened && (this.#isWhole || extent === 'header')) return true;
    const catalog = this.#catalog;
    const pack = catalog.packOf(object);
    const table = catalog.tables[pack] as PackTable;
    const rank = object - (catalog.firsts[pack] as number);
    const from = table.offsetAt(rank);
    const end = table.endAt(rank);
    const isSmall = end - from <= WHOLE_ENTRY_BYTES;
    let to = end;
    if (extent === 'sizes') to = Math.min(end, from + SIZES_BYTES);
    else if (extent === 'header' || (extent === 'small-entry' && !isSmall))
      to = Math.min(end, from + MAX_ENTRY_HEADER_BYTES);
    let span: Span | undefined;
    if (resolution.loaded !== undefined && resolution.pack === pack && resolution.from <= from && to <= resolution.to) {
      const { input, start } = resolution.loaded;
      const shift = start - resolution.from;
      span = { input, start: from + shift, end: to + shift };
    } else {
      span = this.#blocks.peek(pack, from, to);
    }
    if (span === undefined) {
      resolution.loaded = undefined;
      resolution.pack = pack;
      resolution.from = from;
      resolution.to = isSmall ? end : to;
      return false;
    }
    this.#opened = -1;
    const headerBytes = parseEntryHeader(span.input, span.start, span.end, this.#header);
    if (headerBytes < 0) throw this.#malformed(object, 'its header does not end');
    this.#pack = pack;
    this.#input = span.input;
    this.#start = span.start + headerBytes;
    this.#end = span.end;
    this.#opened = object;
    this.#isWhole = to === end;
    return true;
  }

  async #load(resolution: Resolution, signal: AbortSignal | undefined): Promise<void> {
    resolution.loaded = await this.#blocks.load(resolution.pack, resolution.from, resolution.to, signal);
  }

  /** What the open delta makes; undefined, and named in `resolution`, where more of its entry is needed to tell. */
  #resultSize(object: number, resolution: Resolution): number | undefined {
    const { size } = this.#header;
    const sizes = this.#deltaHeader;
    if (size <= SCRATCH_BYTES) {
      if (!this.#open(object, resolution, 'entry')) return undefined;
      const delta = this.#scratch.subarray(0, size);
      this.#inflateSmall(object, delta);
      if (parseDeltaHeader(delta, 0, size, sizes) < 0) throw this.#malformed(object, 'its delta is cut short');
      return sizes.resultSize;
    }
    for (const extent of ['sizes', 'entry'] as const) {
      if (!this.#open(object, resolution, extent)) return undefined;
      const beginning = this.#inflateBeginning(size);
      if (parseDeltaHeader(beginning, 0, beginning.length, sizes) >= 0) return sizes.resultSize;
    }
    throw this.#malformed(object, 'its delta is cut short');
  }

  /** The first bytes of the open entry's stream of `size` bytes, as many as are there, up to a delta's two sizes. */
  #inflateBeginning(size: number): Uint8Array {
    const beginning = new Uint8Array(DELTA_SIZES_BYTES);
    let made = 0;
    const stream = createInflateStream(size);
    this.#counters.inflated++;
    for (let at = this.#start; at < this.#end && made < DELTA_SIZES_BYTES; at += SIZES_BYTES) {
      stream.push(this.#input, at, Math.min(this.#end, at + SIZES_BYTES), (piece) => {
        this.#counters.bytesInflated += piece.length;
        const taken = piece.subarray(0, DELTA_SIZES_BYTES - made);
        beginning.set(taken, made);
        made += taken.length;
      });
    }
    return beginning.subarray(0, made);
  }

  /** The delta of the open entry, its sizes in `#deltaHeader`, both bounded. Valid until the next call. */
  #inflateDelta(object: number): Uint8Array {
    const { size } = this.#header;
    this.#checkSize(object, size);
    let delta: Uint8Array;
    if (size < NATIVE_BYTES) {
      delta = this.#scratch.subarray(0, size);
      this.#inflateSmall(object, delta);
    } else {
      delta = this.#inflateLarge(size);
    }
    if (parseDeltaHeader(delta, 0, size, this.#deltaHeader) < 0)
      throw this.#malformed(object, 'its delta is cut short');
    const { resultSize } = this.#deltaHeader;
    if (resultSize > maxResultBytes(size)) throw this.#malformed(object, 'its delta cannot make what it declares');
    this.#checkSize(object, resultSize);
    return delta;
  }

  #inflateContent(object: number, size: number): Uint8Array {
    if (size >= NATIVE_BYTES) return this.#inflateLarge(size);
    const content = this.#contents.allocate(size);
    this.#inflateSmall(object, content);
    return content;
  }

  #inflateSmall(object: number, output: Uint8Array): void {
    this.#counters.inflated++;
    this.#counters.bytesInflated += output.length;
    if (inflateInto(this.#input, this.#start, this.#end, output) < 0) {
      throw this.#malformed(object, 'its entry ends within its zlib stream');
    }
  }

  #inflateLarge(size: number): Uint8Array {
    this.#counters.inflated++;
    this.#counters.bytesInflated += size;
    return inflateWhole(this.#input, this.#start, this.#end, size);
  }

  #checkSize(object: number, bytes: number): void {
    if (bytes <= this.#maxObjectBytes) return;
    throw new HotpackError('limit_exceeded', `an object of ${bytes} bytes is too large for memory`, {
      detail: { object, bytes, limit: this.#maxObjectBytes },
    });
  }

  #malformed(object: number, what: string): HotpackError {
    const pack = this.#catalog.packOf(object);
    const { name } = this.#catalog.tables[pack] as PackTable;
    const offset = this.#catalog.offsetOf(object);
    return new HotpackError('malformed_pack', `pack ${name}, entry at ${offset}: ${what}`, {
      detail: { pack: name, offset },
    });
  }
}

function createResolution(): Resolution {
  return { at: -1, chain: [], base: undefined, steps: 0, landmark: -1, loaded: undefined, pack: 0, from: 0, to: 0 };
}

function restart(resolution: Resolution, object: number): void {
  resolution.at = object;
  resolution.chain.length = 0;
  resolution.base = undefined;
  resolution.steps = 0;
  resolution.landmark = object;
  resolution.loaded = undefined;
}
