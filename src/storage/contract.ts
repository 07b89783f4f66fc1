/**
 * What every driver offers. Two kinds of things are kept, both under `/`-separated keys:
 *
 * - **objects**: bytes of any length. A reader sees all of an object or none of it.
 * - **documents**: values of at most 1 MiB that change by compare-and-swap. Of any number of writers
 *   that replace the same version exactly one wins. A document's key is never an object's key.
 *
 * Keys: segments of `[A-Za-z0-9._%~-]`, never empty, `.` or `..`, at most 250 bytes each and 1,000 bytes in all; the first
 * segment is not `tmp`, which is the drivers' own. Drivers MUST reject other keys with `invalid_argument`. A key MUST NOT be a
 * segment-wise prefix of another one: where that is broken, a driver may answer `invalid_argument`.
 *
 * `head`, `readAll` and `open` see objects only, `readDocument` documents only, `list` and `delete` both.
 *
 * Every call rejects with `storage_unavailable` (detail.key, cause) when the medium fails, and with
 * `aborted` when its signal fires; what can be expected is a returned union. A call that was aborted or
 * failed leaves nothing that a later `list` or read could see.
 */
export type Absent = { readonly kind: 'absent' };
export const ABSENT: Absent = { kind: 'absent' };

export interface Found {
  readonly kind: 'found';
  readonly bytes: Uint8Array;
}

export interface FoundDocument extends Found {
  /** Opaque; it never comes back, so that A-B-A is seen. */
  readonly version: string;
}

export type Replacement = { readonly kind: 'replaced'; readonly version: string } | { readonly kind: 'lost' };

export interface ObjectInfo {
  readonly kind: 'object' | 'document';
  readonly key: string;
  /** Length in bytes. */
  readonly bytes: number;
  /** When it became visible, in ms since the epoch. */
  readonly modifiedAtMs: number;
  /** Of objects, where the medium can tell: under the same key and `contentId` are always the same bytes. */
  readonly contentId?: string;
}

/**
 * Random access to bytes that do not change. `read` MUST return exactly `length` bytes or reject with
 * `storage_unavailable`; asking beyond the end is `invalid_argument`. The array belongs to the caller. A driver MAY read into `into`,
 * memory of at least `length` bytes that the caller lends, and return a view of its beginning.
 */
export interface RandomAccess {
  readonly bytes: number;
  read(offset: number, length: number, signal?: AbortSignal, into?: Uint8Array): Promise<Uint8Array>;
}

/**
 * An open object. It stays readable until `close` even where the object is deleted meanwhile on media
 * that allow it (fs, memory); elsewhere a read then rejects with `storage_unavailable`.
 */
export interface StorageReader extends RandomAccess {
  readonly kind: 'reader';
  readonly info: ObjectInfo;
  /** Bytes `[offset, offset + length)` in chunks of at least 64 KiB but for the last; cancel closes nothing else, `close` ends it with an error. */
  stream(range?: { offset: number; length: number }, signal?: AbortSignal): ReadableStream<Uint8Array>;
  /**
   * Where the medium has streams of its own: one of them, to be piped to a client without looking at the bytes. Chunks of any size; a
   * connection that breaks is an error; `close` does not end it.
   */
  openBody?(range: { offset: number; length: number }, signal?: AbortSignal): Promise<ReadableStream<Uint8Array>>;
  close(): Promise<void>;
}

/**
 * An object in the making. Invisible to every other call until `commit` resolves; `abort` (idempotent,
 * also after a failed write) removes every trace. After `kill -9` its leavings are removed by a later start, or by `removeAbandoned`.
 * One `write`, `rewriteHead`, `commit` at a time; `read` may run beside them, any number at once.
 */
export interface StorageWriter {
  readonly key: string;
  /** How many bytes `write` has taken and `read` can return. */
  readonly bytesWritten: number;
  /** Appends. Resolves when a further chunk may come; the writer owns the array from then on never again (it is copied or written out). */
  write(chunk: Uint8Array): Promise<void>;
  /** Bytes already written, as `RandomAccess.read`. */
  read(offset: number, length: number): Promise<Uint8Array>;
  /** Replaces the first `bytes.length` (at most 4,096) bytes. */
  rewriteHead(bytes: Uint8Array): Promise<void>;
  /** Makes the object visible under its key, durably, replacing what was there. */
  commit(): Promise<void>;
  abort(): Promise<void>;
}

export interface PageRequest {
  /** The last key of the page before. */
  readonly after?: string;
  readonly limit?: number;
}

export interface ListPage {
  readonly objects: readonly ObjectInfo[];
  /** Where the next page begins; absent on the last page. */
  readonly next?: string;
}

export interface Storage {
  head(key: string, signal?: AbortSignal): Promise<ObjectInfo | Absent>;
  /** All bytes of an object of at most `maxBytes` (more is `limit_exceeded`). */
  readAll(key: string, maxBytes: number, signal?: AbortSignal): Promise<Found | Absent>;
  open(key: string, signal?: AbortSignal): Promise<StorageReader | Absent>;
  /** Atomic: readers see the old bytes or the new ones. Durable when it resolves. */
  put(key: string, bytes: Uint8Array, signal?: AbortSignal): Promise<void>;
  /** Like `put`, but only where nothing is under the key. Of racing creators one wins. */
  create(key: string, bytes: Uint8Array, signal?: AbortSignal): Promise<'created' | 'exists'>;
  /** `key` is fixed at open, since object stores name an upload when it starts. The signal ends the opening, not the writer. */
  openWriter(key: string, signal?: AbortSignal): Promise<StorageWriter>;
  readDocument(key: string, signal?: AbortSignal): Promise<FoundDocument | Absent>;
  /** Replaces the document if its version is still `expected` (`'absent'`: only if there is none). */
  replaceDocument(key: string, bytes: Uint8Array, expected: string, signal?: AbortSignal): Promise<Replacement>;
  /**
   * Objects and documents whose key starts with `prefix` (a string prefix, not segment-wise), in ascending
   * order of UTF-8 bytes, at most `limit` (1 to 1,000, default 1,000) a page. What is created or deleted
   * while pages are read may or may not be seen; everything else is seen exactly once.
   */
  list(prefix: string, page?: PageRequest, signal?: AbortSignal): Promise<ListPage>;
  /** Deletes objects and documents; absent ones are no error. A document made anew under the key has another version. */
  delete(keys: readonly string[], signal?: AbortSignal): Promise<void>;
  /** Rejects unless the medium answers and takes writes. Cheap: called by the readiness probe. */
  probe(signal?: AbortSignal): Promise<void>;
  /**
   * Where leavings of killed processes are not removed by the next start: removes those that are a day old by `nowMs`. Resolves with
   * how many objects that were. May be interrupted and repeated at any time.
   */
  removeAbandoned?(nowMs: number, signal?: AbortSignal): Promise<number>;
  /** Size in bytes of the volume that everything is on; absent where there is no such thing. */
  readonly volumeBytes?: (signal?: AbortSignal) => Promise<number>;
  /** Ends timers and handles. Outstanding writers are aborted; later calls reject with `storage_unavailable`. */
  close(): Promise<void>;
}
