/**
 * The contract over a binding to a bucket of Cloudflare R2, on Workers. R2 takes one write a second to a key, and what a client
 * sent too often it refuses for a while (429): tried again. Uploads that nobody completes are aborted by R2 after seven days.
 *
 * The binding knows no signals: a read that is given up goes on unobserved. Parts are copied through the Worker as streams that
 * no JavaScript looks at, so that of an object in the making only its segments (5 MiB, three at most) are ever in memory.
 */
import { abortError, raceSignal } from '../../bytes/abort.ts';
import type { Bucket, BucketObject, Upload } from './bucket/bucket.ts';
import { BucketFailure } from './bucket/bucket.ts';
import { BucketStorage } from './bucket/bucket-storage.ts';
import type { R2Bucket, R2MultipartUpload, R2Object } from './r2/binding.ts';
import { withUnstorageDriver } from './unstorage-driver.ts';
import type { UnstorageDriver } from './unstorage-driver.ts';

/** The smallest part that R2 takes: an isolate has 128 MB for all its requests. */
const SEGMENT_BYTES = 5 * 1024 * 1024;

export function createR2Storage(bucket: R2Bucket): BucketStorage & UnstorageDriver {
  return withUnstorageDriver('hotpack-r2', new BucketStorage(new R2(bucket), { segmentBytes: SEGMENT_BYTES }));
}

class R2 implements Bucket {
  readonly #bucket: R2Bucket;

  constructor(bucket: R2Bucket) {
    this.#bucket = bucket;
  }

  async head(key: string, signal?: AbortSignal): ReturnType<Bucket['head']> {
    const object = await call('head', this.#bucket.head(key), signal);
    return object === null ? undefined : { ...toObject(object), nonce: object.customMetadata?.['nonce'] };
  }

  async get(...[key, { range, etag }, signal]: Parameters<Bucket['get']>): ReturnType<Bucket['get']> {
    const getting = this.#bucket.get(key, {
      ...(range === undefined ? {} : { range }),
      ...(etag === undefined ? {} : { onlyIf: { etagMatches: etag } }),
    });
    const found = await call('get', getting, signal);
    if (found === null) return { kind: 'absent' };
    if (!('body' in found)) return { kind: 'changed' };
    return {
      kind: 'body',
      object: toObject(found),
      stream: found.body,
      readAll: () => call('get', found.arrayBuffer(), signal),
    };
  }

  async put(...[key, bytes, { only, nonce, signal }]: Parameters<Bucket['put']>): ReturnType<Bucket['put']> {
    if (signal?.aborted === true) throw abortError(signal);
    const options = {
      ...(nonce === undefined ? {} : { customMetadata: { nonce } }),
      ...(only === undefined
        ? {}
        : { onlyIf: only.kind === 'absent' ? { etagDoesNotMatch: '*' } : { etagMatches: only.etag } }),
    };
    const stored = await call('put', this.#bucket.put(key, bytes, options));
    return stored === null ? { kind: 'refused' } : { kind: 'stored', etag: stored.etag };
  }

  async openUpload(key: string, nonce: string): Promise<Upload> {
    const upload = await call(
      'createMultipartUpload',
      this.#bucket.createMultipartUpload(key, { customMetadata: { nonce } }),
    );
    return new R2Upload(this.#bucket, upload);
  }

  async list(...[query, signal]: Parameters<Bucket['list']>): ReturnType<Bucket['list']> {
    const { prefix, after, cursor, limit } = query;
    const from = cursor === undefined ? (after === '' ? {} : { startAfter: after }) : { cursor };
    const page = await call('list', this.#bucket.list({ prefix, limit, ...from }), signal);
    return { objects: page.objects.map(toObject), cursor: page.truncated ? page.cursor : undefined };
  }

  async delete(keys: readonly string[]): Promise<void> {
    await call('delete', this.#bucket.delete([...keys]));
  }
}

class R2Upload implements Upload {
  readonly #bucket: R2Bucket;
  readonly #upload: R2MultipartUpload;

  constructor(bucket: R2Bucket, upload: R2MultipartUpload) {
    this.#bucket = bucket;
    this.#upload = upload;
  }

  async copyPart(number: number, sourceKey: string): Promise<string> {
    const source = await call('get', this.#bucket.get(sourceKey));
    if (source === null || !('body' in source)) {
      throw new BucketFailure('a segment of an object in the making is gone', { isTransient: false });
    }
    return (await call('uploadPart', this.#upload.uploadPart(number, source.body))).etag;
  }

  async putPart(number: number, bytes: Uint8Array): Promise<string> {
    return (await call('uploadPart', this.#upload.uploadPart(number, bytes))).etag;
  }

  async complete(etags: readonly string[]): Promise<void> {
    const parts = etags.map((etag, index) => ({ partNumber: index + 1, etag }));
    await call('complete', this.#upload.complete(parts));
  }

  async abort(): Promise<void> {
    await this.#upload.abort();
  }
}

/** Codes of R2's errors that may be another answer next time: internal error, service unavailable, too many requests. */
const TRANSIENT_CODES: ReadonlySet<string> = new Set(['10001', '10043', '10058']);

/** Errors of the binding end in their code: `put: We encountered an internal error. (10001)`; lost connections have none. */
async function call<T>(operation: string, promise: Promise<T>, signal?: AbortSignal): Promise<T> {
  try {
    return await raceSignal(promise, signal);
  } catch (error) {
    if (signal?.aborted === true) throw abortError(signal);
    const message = error instanceof Error ? error.message : String(error);
    const code = /\((\d+)\)$/.exec(message.trim())?.[1];
    throw new BucketFailure(`R2 ${operation} failed${code === undefined ? '' : `, code ${code}`}`, {
      isTransient: code === undefined || TRANSIENT_CODES.has(code),
      cause: error,
    });
  }
}

function toObject(object: R2Object): BucketObject {
  return { key: object.key, bytes: object.size, etag: object.etag, modifiedAtMs: object.uploaded.getTime() };
}
