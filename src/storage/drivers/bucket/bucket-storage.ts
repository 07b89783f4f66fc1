/**
 * The storage contract over an object store (bucket.ts). Objects lie under their keys with their bytes as they are, so that a mirror is a
 * bare repository in the bucket too; documents as document-format.ts says; what is in the making under `tmp/`. Every call
 * is its own requests: nothing is kept or shared between calls, so one driver serves any number of requests of a Worker.
 */
import { ABSENT } from '../../contract.ts';
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
} from '../../contract.ts';
import { assertDocumentBytes, assertKey, assertPrefix, assertTakes, isKey, resolvePageLimit } from '../../key.ts';
import { CallGate } from '../call-gate.ts';
import { removeAbandoned, TEMP_PREFIX } from './abandoned.ts';
import type { Bucket, BucketObject } from './bucket.ts';
import { createNonce, DOCUMENT_HEAD_BYTES, documentKey, splitStoredKey } from './document-format.ts';
import { readDocument, replaceDocument } from './documents.ts';
import { toStorageError } from './failure.ts';
import { createObjectReader } from './object-reader.ts';
import { ObjectWriter } from './object-writer.ts';
import { withRetries } from './retry.ts';

/** Follows every key under `tmp/`. */
const AFTER_TEMP = 'tmp/~';
const MAX_PAGE = 1000;

export class BucketStorage implements Storage {
  readonly #bucket: Bucket;
  readonly #segmentBytes: number;
  readonly #gate = new CallGate(toStorageError);

  constructor(bucket: Bucket, options: { readonly segmentBytes: number }) {
    this.#bucket = bucket;
    this.#segmentBytes = options.segmentBytes;
  }

  head(key: string, signal?: AbortSignal): Promise<ObjectInfo | Absent> {
    return this.#gate.run(key, signal, async () => {
      const object = await withRetries(() => this.#bucket.head(key, signal), { signal });
      return object === undefined ? ABSENT : toInfo(object);
    });
  }

  readAll(key: string, maxBytes: number, signal?: AbortSignal): Promise<Found | Absent> {
    return this.#gate.run(key, signal, () =>
      withRetries(
        async () => {
          const found = await this.#bucket.get(key, {}, signal);
          if (found.kind !== 'body') return ABSENT;
          const { bytes } = found.object;
          if (bytes > maxBytes) await found.stream.cancel().catch(() => undefined);
          assertTakes(key, bytes, maxBytes);
          return { kind: 'found', bytes: new Uint8Array(await found.readAll()) } as const;
        },
        { signal },
      ),
    );
  }

  open(key: string, signal?: AbortSignal): Promise<StorageReader | Absent> {
    return this.#gate.run(key, signal, async () => {
      const object = await withRetries(() => this.#bucket.head(key, signal), { signal });
      return object === undefined ? ABSENT : createObjectReader(this.#bucket, toInfo(object), object);
    });
  }

  put(key: string, bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    return this.#gate.run(key, signal, async () => {
      await withRetries(() => this.#bucket.put(key, bytes, { signal }), { signal });
    });
  }

  create(key: string, bytes: Uint8Array, signal?: AbortSignal): Promise<'created' | 'exists'> {
    const nonce = createNonce();
    return this.#gate.run(key, signal, () =>
      withRetries(
        async (failedBefore) => {
          const result = await this.#bucket.put(key, bytes, { only: { kind: 'absent' }, nonce, signal });
          if (result.kind === 'stored') return 'created';
          // A try whose answer was lost may have been the one that created it.
          const isOurs = failedBefore > 0 && (await this.#bucket.head(key, signal))?.nonce === nonce;
          return isOurs ? 'created' : 'exists';
        },
        { signal },
      ),
    );
  }

  openWriter(key: string, signal?: AbortSignal): Promise<StorageWriter> {
    return this.#gate.run(key, signal, async () => {
      const writer = new ObjectWriter({
        bucket: this.#bucket,
        key,
        tempPrefix: `${TEMP_PREFIX}${createNonce()}/`,
        segmentBytes: this.#segmentBytes,
        onEnd: (ended) => this.#gate.writers.delete(ended),
      });
      this.#gate.writers.add(writer);
      return writer;
    });
  }

  readDocument(key: string, signal?: AbortSignal): Promise<FoundDocument | Absent> {
    return this.#gate.run(key, signal, () => readDocument(this.#bucket, key, signal));
  }

  replaceDocument(key: string, bytes: Uint8Array, expected: string, signal?: AbortSignal): Promise<Replacement> {
    return this.#gate.run(key, signal, () => {
      assertDocumentBytes(key, bytes);
      return replaceDocument(this.#bucket, { key, value: bytes, expected }, signal);
    });
  }

  async list(prefix: string, page: PageRequest = {}, signal?: AbortSignal): Promise<ListPage> {
    assertPrefix(prefix);
    const limit = resolvePageLimit(page.limit);
    this.#gate.assertOpen(signal);
    const objects: ObjectInfo[] = [];
    if (prefix.startsWith(TEMP_PREFIX)) return { objects };
    // The document of a key follows the object of that key, and both are before every longer one.
    let after = page.after === undefined || page.after === '' ? '' : documentKey(page.after);
    let cursor: string | undefined;
    let isLast = false;
    try {
      while (!isLast) {
        // One more than asked for tells whether there is another page.
        const query = { prefix, after, cursor, limit: Math.min(MAX_PAGE, limit + 1 - objects.length) };
        // oxlint-disable-next-line no-await-in-loop -- page after page
        const found = await withRetries(() => this.#bucket.list(query, signal), { signal });
        for (const object of found.objects) {
          const info = toInfo(object);
          if (!isKey(info.key)) continue;
          const last = objects.at(-1);
          if (last !== undefined && objects.length === limit) return { objects, next: last.key };
          objects.push(info);
        }
        cursor = found.cursor;
        isLast = cursor === undefined;
        // A list must not read through all that is in the making.
        if (found.objects.at(-1)?.key.startsWith(TEMP_PREFIX) === true) [after, cursor] = [AFTER_TEMP, undefined];
      }
      return { objects };
    } catch (error) {
      throw toStorageError(prefix, error);
    }
  }

  async delete(keys: readonly string[], signal?: AbortSignal): Promise<void> {
    for (const key of keys) assertKey(key);
    this.#gate.assertOpen(signal);
    const stored = keys.flatMap((key) => [key, documentKey(key)]);
    for (let at = 0; at < stored.length; at += MAX_PAGE) {
      const some = stored.slice(at, at + MAX_PAGE);
      try {
        // oxlint-disable-next-line no-await-in-loop -- as many as one call takes
        await withRetries(() => this.#bucket.delete(some), { signal });
      } catch (error) {
        throw toStorageError(some[0] as string, error);
      }
    }
  }

  /** Two requests. */
  async probe(signal?: AbortSignal): Promise<void> {
    await this.#gate.run('probe', signal, async () => {
      const key = `${TEMP_PREFIX}probe-${createNonce()}`;
      const once = { signal, tries: 2 };
      await withRetries(() => this.#bucket.put(key, new Uint8Array(1), { signal }), once);
      await withRetries(() => this.#bucket.delete([key]), once);
    });
  }

  /** Removes what killed processes left in the making, once it is a day old. Resolves with how many objects that were. */
  removeAbandoned(nowMs: number, signal?: AbortSignal): Promise<number> {
    return this.#gate.run('tmp-of-others', signal, () => removeAbandoned(this.#bucket, nowMs, signal));
  }

  async close(): Promise<void> {
    await this.#gate.close();
  }
}

function toInfo(object: BucketObject): ObjectInfo {
  const { kind, key } = splitStoredKey(object.key);
  const bytes = kind === 'document' ? object.bytes - DOCUMENT_HEAD_BYTES : object.bytes;
  return {
    kind,
    key,
    bytes,
    modifiedAtMs: object.modifiedAtMs,
    ...(kind === 'object' ? { contentId: object.etag } : {}),
  };
}
