/**
 * An object that is too large for memory, put together in scratch storage: down the chain of deltas by their headers to
 * the first object that fits in memory or is no delta, then up again. A step streams its delta past the base (read in
 * windows, since copies mostly ascend) into a scratch of its own; the scratch of the step before is then given up, so
 * that at most two exist.
 *
 * Peak memory: about 1 MiB and 8 bytes for each delta of the chain; what lies at the bottom, if it fits, besides.
 */
import { throwIfAborted } from '../../../bytes/abort.ts';
import { HotpackError, isHotpackError } from '../../../bytes/error.ts';
import type { StorageWriter } from '../../../storage/contract.ts';
import { createDeltaStream } from '../../codec/delta-stream.ts';
import { createEntryHeader, MAX_ENTRY_HEADER_BYTES, parseEntryHeader } from '../../codec/entry-header.ts';
import { OBJ_OFS_DELTA, OBJ_REF_DELTA } from '../../codec/object-type.ts';
import type { ObjectType } from '../../codec/object-type.ts';
import type { GitObject, ObjectStore } from '../../object-store.ts';
import type { PackedObjects } from '../../reading/packed-objects.ts';
import { transformPieces } from './transform-pieces.ts';

const PIECE_BYTES = 256 * 1024;

type Store = ObjectStore & PackedObjects;

interface SpillOptions {
  readonly signal: AbortSignal;
  readonly openScratch: () => Promise<StorageWriter>;
}

export interface SpilledObject {
  readonly type: ObjectType;
  readonly bytes: number;
  pieces(): AsyncIterable<Uint8Array>;
  /** Removes the scratch. */
  dispose(): Promise<void>;
}

/** Content that can be read anywhere, wherever it lies. */
interface Content {
  readonly bytes: number;
  read(offset: number, length: number): Promise<Uint8Array>;
  dispose(): Promise<void>;
}

/** Rejects with `malformed_pack` where the entries break their format. The caller disposes of the result. */
export async function spillObject(store: Store, object: number, options: SpillOptions): Promise<SpilledObject> {
  const chain: { readonly object: number; readonly headerBytes: number }[] = [];
  let at = object;
  let content: Content | undefined;
  let type: ObjectType | undefined;
  while (content === undefined) {
    throwIfAborted(options.signal);
    if (chain.length > store.objectCount) throw new HotpackError('malformed_pack', 'a delta chain is a ring');
    const small = chain.length === 0 ? undefined : await readIfSmall(store, at, options.signal);
    if (small !== undefined) {
      type = small.type;
      content = contentOf(small.content);
      break;
    }
    const entry = await readHeader(store, at, options.signal);
    if (entry.type === 'delta') {
      chain.push({ object: at, headerBytes: entry.headerBytes });
      at = entry.base;
    } else {
      type = entry.type;
      content = await spillWhole(store, at, entry, options);
    }
  }
  for (const delta of chain.toReversed()) {
    const base: Content = content;
    try {
      content = await spillDelta(store, delta, base, options);
    } finally {
      await base.dispose();
    }
  }
  const result = content;
  return {
    type: type as ObjectType,
    bytes: result.bytes,
    async *pieces() {
      for (let from = 0; from < result.bytes; from += PIECE_BYTES) {
        throwIfAborted(options.signal);
        yield await result.read(from, Math.min(PIECE_BYTES, result.bytes - from));
      }
    },
    dispose: () => result.dispose(),
  };
}

async function readIfSmall(store: Store, object: number, signal: AbortSignal): Promise<GitObject | undefined> {
  try {
    return await store.read(object, signal);
  } catch (error) {
    if (isHotpackError(error, 'limit_exceeded')) return undefined;
    throw error;
  }
}

type EntryStart =
  | { readonly type: 'delta'; readonly headerBytes: number; readonly base: number }
  | { readonly type: ObjectType; readonly headerBytes: number; readonly size: number };

async function readHeader(store: Store, object: number, signal: AbortSignal): Promise<EntryStart> {
  const header = createEntryHeader();
  const pack = store.packOf(object);
  const offset = store.offsetOf(object);
  const length = Math.min(MAX_ENTRY_HEADER_BYTES, store.entryEnd(object) - offset);
  const bytes = await store.readRange(pack, offset, length, { signal });
  const headerBytes = parseEntryHeader(bytes, 0, length, header);
  if (headerBytes < 0) throw new HotpackError('malformed_pack', 'an entry ends within its header');
  if (header.type === OBJ_OFS_DELTA) {
    return { type: 'delta', headerBytes, base: store.objectAtOffset(pack, offset - header.baseDistance) };
  }
  if (header.type === OBJ_REF_DELTA) {
    const base = store.findBaseBytes(bytes, header.baseOidAt, pack);
    if (base < 0) throw new HotpackError('malformed_pack', 'the base of a delta is not there');
    return { type: 'delta', headerBytes, base };
  }
  return { type: header.type, headerBytes, size: header.size };
}

/** The entry's zlib stream, inflated by the platform beside the event loop. */
async function* inflateEntry(
  store: Store,
  entry: { readonly object: number; readonly headerBytes: number },
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const pack = store.packOf(entry.object);
  const end = store.entryEnd(entry.object);
  async function* stored(): AsyncGenerator<Uint8Array, void, undefined> {
    let at = store.offsetOf(entry.object) + entry.headerBytes;
    while (at < end) {
      const length = Math.min(PIECE_BYTES, end - at);
      yield await store.readRange(pack, at, length, { signal });
      at += length;
    }
  }
  try {
    yield* transformPieces(new DecompressionStream('deflate'), stored(), signal);
  } catch (error) {
    if (isHotpackError(error)) throw error;
    throw new HotpackError('malformed_pack', 'an entry does not inflate', { cause: error });
  }
}

async function spillWhole(
  store: Store,
  object: number,
  entry: { readonly headerBytes: number; readonly size: number },
  options: SpillOptions,
): Promise<Content> {
  const { signal } = options;
  return writeScratch(options, async (scratch) => {
    for await (const piece of inflateEntry(store, { object, headerBytes: entry.headerBytes }, signal)) {
      if (scratch.bytesWritten + piece.length > entry.size) break;
      await scratch.write(piece);
    }
    if (scratch.bytesWritten !== entry.size) {
      throw new HotpackError('malformed_pack', 'an entry inflates to another size than it declares');
    }
  });
}

async function spillDelta(
  store: Store,
  delta: { readonly object: number; readonly headerBytes: number },
  base: Content,
  options: SpillOptions,
): Promise<Content> {
  const { signal } = options;
  const window = createWindow(base);
  return writeScratch(options, async (scratch) => {
    const stream = createDeltaStream(base.bytes);
    let gathered = new Uint8Array(PIECE_BYTES);
    let used = 0;
    const append = async (bytes: Uint8Array): Promise<void> => {
      for (let at = 0; at < bytes.length;) {
        const length = Math.min(bytes.length - at, PIECE_BYTES - used);
        gathered.set(bytes.subarray(at, at + length), used);
        used += length;
        at += length;
        if (used < PIECE_BYTES) continue;
        await scratch.write(gathered);
        gathered = new Uint8Array(PIECE_BYTES);
        used = 0;
      }
    };
    for await (const piece of inflateEntry(store, delta, signal)) {
      for (const instruction of stream.push(piece)) {
        if (instruction.kind === 'insert') {
          await append(instruction.bytes);
          continue;
        }
        const end = instruction.offset + instruction.bytes;
        for (let at = instruction.offset; at < end;) {
          const bytes = await window.read(at, end - at);
          await append(bytes);
          at += bytes.length;
        }
      }
    }
    stream.finish();
    await scratch.write(gathered.subarray(0, used));
  });
}

/** Up to `length` bytes from `offset` on, out of the part of `content` that was read last. */
function createWindow(content: Content): { read(offset: number, length: number): Promise<Uint8Array> } {
  let bytes: Uint8Array = new Uint8Array(0);
  let from = 0;
  return {
    async read(offset, length) {
      if (offset < from || offset >= from + bytes.length) {
        bytes = await content.read(offset, Math.min(PIECE_BYTES, content.bytes - offset));
        from = offset;
      }
      return bytes.subarray(offset - from, Math.min(bytes.length, offset - from + length));
    },
  };
}

function contentOf(bytes: Uint8Array): Content {
  return {
    bytes: bytes.length,
    read: async (offset, length) => bytes.subarray(offset, offset + length),
    dispose: async () => undefined,
  };
}

/** A scratch filled by `fill`; removed at once where that fails. */
async function writeScratch(options: SpillOptions, fill: (scratch: StorageWriter) => Promise<void>): Promise<Content> {
  const scratch = await options.openScratch();
  try {
    await fill(scratch);
  } catch (error) {
    await scratch.abort();
    throw error;
  }
  return {
    bytes: scratch.bytesWritten,
    read: (offset, length) => scratch.read(offset, length),
    dispose: () => scratch.abort(),
  };
}
