/**
 * A cache in front of a store that is far away: ranges of open objects are read in aligned blocks, which are kept. Only objects
 * whose bytes are named by a `contentId` are cached, under that name, so that nothing has to be forgotten when they are
 * replaced; only finished blocks are kept, so that no request waits for what another one reads, unless it is told that it may.
 * Documents, whole reads and writes go by.
 *
 * Missing blocks that lie side by side come in one read. Memory: what the blocks hold, and twice what is read at the moment.
 */
import { raceSignal, throwIfAborted } from '../../bytes/abort.ts';
import { HotpackError } from '../../bytes/error.ts';
import type { Storage, StorageReader } from '../contract.ts';
import { withUnstorageDriver, type DriverStorage } from '../drivers/unstorage-driver.ts';
import { assertRange } from '../key.ts';

/** Where blocks are kept: any of them may be gone at any time, none is ever wrong. */
export interface Blocks {
  readonly blockBytes: number;
  /** Not to be changed. Undefined where it is not here. Never rejects. */
  get(id: string): Promise<Uint8Array | undefined> | Uint8Array | undefined;
  /** Takes the array over. Never throws. */
  put(id: string, bytes: Uint8Array): void;
  close(): Promise<void>;
}

export interface BlockCacheOptions {
  readonly blocks: Blocks;
  /** Longer reads are not kept: one large object must not empty the cache. Streams are where this is unlimited. */
  readonly maxReadBytes: number;
  /** Whether equal reads at the same time are one. Not on Workers. */
  readonly sharesReads: boolean;
}

/** Owns `storage` and the blocks. */
export function withBlockCache(storage: DriverStorage, options: BlockCacheOptions): DriverStorage {
  const reading = new Map<string, Promise<Uint8Array>>();
  const removeAbandoned = storage.removeAbandoned?.bind(storage);
  const cached: Storage = {
    head: (...args) => storage.head(...args),
    readAll: (...args) => storage.readAll(...args),
    async open(key, signal) {
      const reader = await storage.open(key, signal);
      const isNamed = reader.kind === 'reader' && reader.info.contentId !== undefined;
      return isNamed ? cacheReader(reader, options, reading) : reader;
    },
    put: (...args) => storage.put(...args),
    create: (...args) => storage.create(...args),
    openWriter: (...args) => storage.openWriter(...args),
    readDocument: (...args) => storage.readDocument(...args),
    replaceDocument: (...args) => storage.replaceDocument(...args),
    list: (...args) => storage.list(...args),
    delete: (...args) => storage.delete(...args),
    probe: (...args) => storage.probe(...args),
    ...(removeAbandoned === undefined ? {} : { removeAbandoned }),
    async close() {
      await storage.close();
      await options.blocks.close();
    },
  };
  return withUnstorageDriver(storage.name, cached);
}

function cacheReader(
  inner: StorageReader,
  { blocks, maxReadBytes, sharesReads }: BlockCacheOptions,
  reading: Map<string, Promise<Uint8Array>>,
): StorageReader {
  const { info, bytes } = inner;
  const { blockBytes } = blocks;
  const idOf = (block: number): string => `${info.key}\0${info.contentId}\0${blockBytes}\0${block}`;
  let isClosed = false;
  const assertOpen = (): void => {
    if (isClosed) throw new HotpackError('invalid_argument', 'the reader is closed', { detail: { key: info.key } });
  };

  async function readRun(first: number, end: number): Promise<Uint8Array> {
    const offset = first * blockBytes;
    const run = await inner.read(offset, Math.min(end * blockBytes, bytes) - offset);
    for (let block = first; block < end; block++) {
      const at = (block - first) * blockBytes;
      blocks.put(idOf(block), run.slice(at, at + blockBytes));
    }
    return run;
  }

  /** The blocks from `first` up to `end`, none of which is here. */
  function fetchRun(first: number, end: number, signal: AbortSignal | undefined): Promise<Uint8Array> {
    if (!sharesReads) return raceSignal(readRun(first, end), signal);
    const id = `${idOf(first)}\0${end}`;
    let shared = reading.get(id);
    if (shared === undefined) {
      shared = readRun(first, end).finally(() => reading.delete(id));
      reading.set(id, shared);
    }
    return raceSignal(shared, signal);
  }

  async function read(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array> {
    assertOpen();
    assertRange(info.key, offset, length, bytes);
    throwIfAborted(signal);
    if (length > maxReadBytes) return inner.read(offset, length, signal);
    const target = new Uint8Array(length);
    if (length === 0) return target;
    const copy = (source: Uint8Array, sourceOffset: number): void => {
      const from = Math.max(offset, sourceOffset);
      const to = Math.min(offset + length, sourceOffset + source.length);
      target.set(source.subarray(from - sourceOffset, to - sourceOffset), from - offset);
    };
    const first = Math.floor(offset / blockBytes);
    const end = Math.ceil((offset + length) / blockBytes);
    const kept = await Promise.all(Array.from({ length: end - first }, async (_, i) => blocks.get(idOf(first + i))));
    const runs: Promise<void>[] = [];
    for (let at = 0; at < kept.length;) {
      const block = kept[at];
      const start = first + at++;
      if (block !== undefined) {
        copy(block, start * blockBytes);
        continue;
      }
      while (at < kept.length && kept[at] === undefined) at++;
      runs.push(fetchRun(start, first + at, signal).then((run) => copy(run, start * blockBytes)));
    }
    await Promise.all(runs);
    return target;
  }

  function stream(range = { offset: 0, length: bytes }, signal?: AbortSignal): ReadableStream<Uint8Array> {
    assertOpen();
    assertRange(info.key, range.offset, range.length, bytes);
    let at = range.offset;
    const end = range.offset + range.length;
    return new ReadableStream<Uint8Array>(
      {
        async pull(controller) {
          throwIfAborted(signal);
          if (at < end) {
            // Up to the end of a block, so that the next piece begins with one.
            const length = Math.min(end, (Math.floor(at / blockBytes) + 2) * blockBytes) - at;
            controller.enqueue(await read(at, length, signal));
            at += length;
          }
          if (at === end) controller.close();
        },
      },
      { highWaterMark: 0 },
    );
  }

  const openBody = inner.openBody?.bind(inner);
  return {
    kind: 'reader',
    info,
    bytes,
    read,
    stream: maxReadBytes === Number.POSITIVE_INFINITY ? stream : (...args) => inner.stream(...args),
    ...(openBody === undefined ? {} : { openBody }),
    async close() {
      isClosed = true;
      await inner.close();
    },
  };
}
