/**
 * The contract over this process's memory: tests, workers without a disk, `memory:`. Everything is lost with the process
 * and seen by one thread only. Holds at most `maxBytes` of objects and documents, in the making included; beyond that, writes
 * reject with `storage_unavailable`, as on a full disk. Bytes are copied on the way in and out.
 */
import { abortError, throwIfAborted } from '../../bytes/abort.ts';
import { HotpackError } from '../../bytes/error.ts';
import { ABSENT } from '../contract.ts';
import type {
  Absent,
  Found,
  FoundDocument,
  ListPage,
  ObjectInfo,
  PageRequest,
  Replacement,
  Storage,
  StorageReader,
  StorageWriter,
} from '../contract.ts';
import {
  assertDocumentBytes,
  assertHead,
  assertKey,
  assertPrefix,
  assertRange,
  assertTakes,
  resolvePageLimit,
} from '../key.ts';
import { MemoryBytes } from './memory-bytes.ts';
import { withUnstorageDriver } from './unstorage-driver.ts';
import type { DriverStorage } from './unstorage-driver.ts';

export interface MemoryStorageOptions {
  /** Bytes that may be held in all. Default: 1 GiB. */
  readonly maxBytes?: number;
  /** Milliseconds since the epoch. Default: `Date.now`. */
  readonly now?: () => number;
}

export function createMemoryStorage(options: MemoryStorageOptions = {}): DriverStorage {
  return withUnstorageDriver('hotpack-memory', new MemoryStorage(options));
}

interface Entry {
  readonly info: ObjectInfo;
  readonly content: MemoryBytes;
  /** Of documents. */
  readonly version: string;
}

const STREAM_CHUNK_BYTES = 256 * 1024;

class MemoryStorage implements Storage {
  readonly #entries = new Map<string, Entry>();
  readonly #writers = new Set<StorageWriter>();
  readonly #maxBytes: number;
  readonly #now: () => number;
  /** Keys in order; made when a page is asked for, dropped when a key comes or goes. */
  #sortedKeys: readonly string[] | undefined;
  #heldBytes = 0;
  #versions = 0;
  #closed = false;

  constructor(options: MemoryStorageOptions) {
    this.#maxBytes = options.maxBytes ?? 1024 ** 3;
    this.#now = options.now ?? Date.now;
  }

  async head(key: string, signal?: AbortSignal): Promise<ObjectInfo | Absent> {
    return this.#find('object', key, signal)?.info ?? ABSENT;
  }

  async readAll(key: string, maxBytes: number, signal?: AbortSignal): Promise<Found | Absent> {
    const entry = this.#find('object', key, signal);
    if (entry === undefined) return ABSENT;
    const { bytes } = entry.content;
    assertTakes(key, bytes, maxBytes);
    return { kind: 'found', bytes: entry.content.slice(0, bytes) };
  }

  async open(key: string, signal?: AbortSignal): Promise<StorageReader | Absent> {
    const entry = this.#find('object', key, signal);
    return entry === undefined ? ABSENT : openReader(entry);
  }

  async put(key: string, bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    this.#assertUsable(key, signal);
    this.#store('object', key, bytes);
  }

  async create(key: string, bytes: Uint8Array, signal?: AbortSignal): Promise<'created' | 'exists'> {
    this.#assertUsable(key, signal);
    if (this.#entries.has(key)) return 'exists';
    this.#store('object', key, bytes);
    return 'created';
  }

  async openWriter(key: string, signal?: AbortSignal): Promise<StorageWriter> {
    this.#assertUsable(key, signal);
    const content = new MemoryBytes();
    let state: 'open' | 'committed' | 'aborted' = 'open';
    const assertOpen = (): void => {
      if (state !== 'open') throw new HotpackError('invalid_argument', `the writer is ${state}`, { detail: { key } });
    };
    const end = (as: 'committed' | 'aborted'): void => {
      state = as;
      this.#writers.delete(writer);
      this.#heldBytes -= content.bytes;
    };
    const writer: StorageWriter = {
      key,
      get bytesWritten() {
        return content.bytes;
      },
      write: async (chunk) => {
        assertOpen();
        this.#hold(key, chunk.length);
        content.append(chunk);
      },
      async read(offset, length) {
        assertOpen();
        assertRange(key, offset, length, content.bytes);
        return content.slice(offset, length);
      },
      async rewriteHead(bytes) {
        assertOpen();
        assertHead(key, bytes, content.bytes);
        content.overwriteHead(bytes);
      },
      commit: async () => {
        assertOpen();
        end('committed');
        content.trim();
        this.#place('object', key, content);
      },
      abort: async () => {
        if (state === 'open') end('aborted');
      },
    };
    this.#writers.add(writer);
    return writer;
  }

  async readDocument(key: string, signal?: AbortSignal): Promise<FoundDocument | Absent> {
    const entry = this.#find('document', key, signal);
    if (entry === undefined) return ABSENT;
    return { kind: 'found', bytes: entry.content.slice(0, entry.content.bytes), version: entry.version };
  }

  async replaceDocument(key: string, bytes: Uint8Array, expected: string, signal?: AbortSignal): Promise<Replacement> {
    const current = this.#find('document', key, signal)?.version ?? 'absent';
    assertDocumentBytes(key, bytes);
    if (current !== expected) return { kind: 'lost' };
    return { kind: 'replaced', version: this.#store('document', key, bytes).version };
  }

  async list(prefix: string, page: PageRequest = {}, signal?: AbortSignal): Promise<ListPage> {
    assertPrefix(prefix);
    const limit = resolvePageLimit(page.limit);
    this.#assertAnswering(signal);
    this.#sortedKeys ??= [...this.#entries.keys()].sort();
    const keys = this.#sortedKeys;
    const { after = '' } = page;
    const objects: ObjectInfo[] = [];
    for (let i = firstAtOrAbove(keys, after < prefix ? prefix : after); i < keys.length; i++) {
      const key = keys[i] as string;
      if (!key.startsWith(prefix)) break;
      if (key === after) continue;
      const last = objects.at(-1);
      if (last !== undefined && objects.length === limit) return { objects, next: last.key };
      objects.push((this.#entries.get(key) as Entry).info);
    }
    return { objects };
  }

  async delete(keys: readonly string[], signal?: AbortSignal): Promise<void> {
    for (const key of keys) assertKey(key);
    this.#assertAnswering(signal);
    for (const key of keys) {
      const entry = this.#entries.get(key);
      if (entry === undefined) continue;
      this.#heldBytes -= entry.content.bytes;
      this.#entries.delete(key);
      this.#sortedKeys = undefined;
    }
  }

  async probe(signal?: AbortSignal): Promise<void> {
    this.#assertAnswering(signal);
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const writer of this.#writers) await writer.abort();
    this.#entries.clear();
    this.#heldBytes = 0;
    this.#sortedKeys = undefined;
  }

  #find(kind: ObjectInfo['kind'], key: string, signal: AbortSignal | undefined): Entry | undefined {
    this.#assertUsable(key, signal);
    const entry = this.#entries.get(key);
    return entry?.info.kind === kind ? entry : undefined;
  }

  #store(kind: ObjectInfo['kind'], key: string, bytes: Uint8Array): Entry {
    const replacedBytes = this.#entries.get(key)?.content.bytes ?? 0;
    this.#assertRoom(key, bytes.length - replacedBytes);
    return this.#place(kind, key, MemoryBytes.of(bytes));
  }

  #place(kind: ObjectInfo['kind'], key: string, content: MemoryBytes): Entry {
    const replaced = this.#entries.get(key);
    if (replaced === undefined) this.#sortedKeys = undefined;
    this.#heldBytes += content.bytes - (replaced?.content.bytes ?? 0);
    const info: ObjectInfo = { kind, key, bytes: content.bytes, modifiedAtMs: this.#now() };
    const entry: Entry = { info, content, version: String(++this.#versions) };
    this.#entries.set(key, entry);
    return entry;
  }

  #hold(key: string, bytes: number): void {
    this.#assertAnswering(undefined);
    this.#assertRoom(key, bytes);
    this.#heldBytes += bytes;
  }

  #assertRoom(key: string, moreBytes: number): void {
    if (this.#heldBytes + moreBytes > this.#maxBytes) {
      throw new HotpackError('storage_unavailable', 'the memory store is full', {
        detail: { key, maxBytes: this.#maxBytes },
      });
    }
  }

  #assertUsable(key: string, signal: AbortSignal | undefined): void {
    assertKey(key);
    this.#assertAnswering(signal);
  }

  #assertAnswering(signal: AbortSignal | undefined): void {
    if (this.#closed) throw new HotpackError('storage_unavailable', 'the store is closed');
    throwIfAborted(signal);
  }
}

/** Holds the content itself, so that it outlives a deletion. */
function openReader({ info, content }: Entry): StorageReader {
  const { key, bytes } = info;
  let closed = false;
  const assertReadable = (signal: AbortSignal | undefined): void => {
    if (closed) throw new HotpackError('invalid_argument', 'the reader is closed', { detail: { key } });
    throwIfAborted(signal);
  };
  return {
    kind: 'reader',
    info,
    bytes,
    async read(offset, length, signal) {
      assertReadable(signal);
      assertRange(key, offset, length, bytes);
      return content.slice(offset, length);
    },
    stream(range = { offset: 0, length: bytes }, signal) {
      assertReadable(undefined);
      assertRange(key, range.offset, range.length, bytes);
      let offset = range.offset;
      const end = range.offset + range.length;
      return new ReadableStream<Uint8Array>(
        {
          pull(controller) {
            if (signal?.aborted === true) throw abortError(signal);
            assertReadable(undefined);
            const length = Math.min(STREAM_CHUNK_BYTES, end - offset);
            if (length === 0) {
              controller.close();
              return;
            }
            controller.enqueue(content.slice(offset, length));
            offset += length;
          },
        },
        { highWaterMark: 0 },
      );
    },
    async close() {
      closed = true;
    },
  };
}

function firstAtOrAbove(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((keys[middle] as string) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
