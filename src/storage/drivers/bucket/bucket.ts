/**
 * What the drivers for object stores have in common below the storage contract: one call is one request to the store, tried once.
 * Retries, documents, writers and paging are made of these calls by the files beside this one.
 *
 * A call rejects with `BucketFailure` when the store fails, with `aborted` when its signal fires while it reads. A
 * `put` that has been sent is not given up with its signal: nobody could say whether it took place. It ends by itself, after a time limit.
 */

export interface BucketObject {
  readonly key: string;
  /** Length in bytes. */
  readonly bytes: number;
  /** Without quotes. Equal for equal bytes on most stores. */
  readonly etag: string;
  /** Milliseconds since the epoch. */
  readonly modifiedAtMs: number;
}

/** An object with what only `head` tells: which call put it there. */
export interface HeadObject extends BucketObject {
  readonly nonce: string | undefined;
}

export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

export type BucketBody =
  | {
      readonly kind: 'body';
      /** Of the whole object. */
      readonly object: BucketObject;
      /** The range's bytes, through one of these two: the store's own stream, or all at once. */
      readonly stream: ReadableStream<Uint8Array>;
      readonly readAll: () => Promise<ArrayBuffer>;
    }
  | { readonly kind: 'absent' }
  /** Another object lies under the key by now. */
  | { readonly kind: 'changed' };

export interface PutOptions {
  /** Only where nothing is under the key, or where it still has this etag. */
  readonly only?: { readonly kind: 'absent' } | { readonly kind: 'etag'; readonly etag: string };
  /** Kept with the object, for `head`. */
  readonly nonce?: string;
  /** Looked at before the request is sent. */
  readonly signal?: AbortSignal | undefined;
}

export type PutResult = { readonly kind: 'stored'; readonly etag: string } | { readonly kind: 'refused' };

/** Parts are numbered from 1; all are of the same length but the last, which may be shorter. */
export interface Upload {
  /** The whole of another object becomes a part. Resolves with the part's etag. */
  copyPart(number: number, sourceKey: string): Promise<string>;
  putPart(number: number, bytes: Uint8Array): Promise<string>;
  /** The etags in order of the parts. */
  complete(etags: readonly string[]): Promise<void>;
  abort(): Promise<void>;
}

export interface BucketPage {
  /** In ascending order of keys. */
  readonly objects: readonly BucketObject[];
  readonly cursor: string | undefined;
}

export interface Bucket {
  head(key: string, signal?: AbortSignal): Promise<HeadObject | undefined>;
  /** `range` is not empty and lies within the object; absent: all of it. */
  get(
    key: string,
    options: { readonly range?: ByteRange; readonly etag?: string },
    signal?: AbortSignal,
  ): Promise<BucketBody>;
  put(key: string, bytes: Uint8Array, options: PutOptions): Promise<PutResult>;
  openUpload(key: string, nonce: string): Promise<Upload>;
  /** Keys that start with `prefix` and follow `after`; `limit` at most 1,000. */
  list(
    query: {
      readonly prefix: string;
      readonly after: string;
      readonly cursor: string | undefined;
      readonly limit: number;
    },
    signal?: AbortSignal,
  ): Promise<BucketPage>;
  /** At most 1,000 keys; absent ones are no error. */
  delete(keys: readonly string[]): Promise<void>;
  /** Aborts uploads begun before that time which nobody completed, where the store does not do so by itself. */
  abortUploadsBefore?(beforeMs: number, signal?: AbortSignal): Promise<void>;
}

/** The store failed, or did not answer. `message` and `cause` hold nothing secret. */
export class BucketFailure extends Error {
  override readonly name = 'BucketFailure';
  /** True where the same call may succeed later. */
  readonly isTransient: boolean;

  constructor(message: string, options: { readonly isTransient: boolean; readonly cause?: unknown }) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.isTransient = options.isTransient;
  }
}
