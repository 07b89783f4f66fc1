/**
 * The contract over a bucket of Amazon S3 or of a server that speaks its API: Node and Deno. What the server must have besides the
 * common calls: conditional writes (`If-None-Match: *`, `If-Match`), ListObjectsV2, UploadPartCopy. Parts of a large object are
 * copied inside the store, so that its bytes are sent once. Multipart uploads that nobody completed are aborted by
 * `removeAbandoned`.
 */
import { createHash } from 'node:crypto';
import { abortError } from '../../bytes/abort.ts';
import type { Bucket, BucketObject, PutOptions, Upload } from './bucket/bucket.ts';
import { BucketFailure } from './bucket/bucket.ts';
import { BucketStorage } from './bucket/bucket-storage.ts';
import { S3Client } from './s3/client.ts';
import type { S3Options } from './s3/client.ts';
import {
  assertDeleted,
  parseAnswer,
  parseObjects,
  parseUploads,
  textOf,
  unquoted,
  writeComplete,
  writeDelete,
} from './s3/xml.ts';
import { withUnstorageDriver } from './unstorage-driver.ts';
import type { UnstorageDriver } from './unstorage-driver.ts';

const SEGMENT_BYTES = 8 * 1024 * 1024;
const NONCE_HEADER = 'x-amz-meta-hotpack-nonce';

/** Sends nothing before the first call. */
export function createS3Storage(options: S3Options): BucketStorage & UnstorageDriver {
  const bucket = new S3(new S3Client(options));
  return withUnstorageDriver('hotpack-s3', new BucketStorage(bucket, { segmentBytes: SEGMENT_BYTES }));
}

class S3 implements Bucket {
  readonly #client: S3Client;

  constructor(client: S3Client) {
    this.#client = client;
  }

  async head(key: string, signal?: AbortSignal): ReturnType<Bucket['head']> {
    const response = await this.#client.request({ method: 'HEAD', key, expected: [404] }, signal);
    if (response.status === 404) return undefined;
    return { ...toObject(key, response), nonce: response.headers.get(NONCE_HEADER) ?? undefined };
  }

  async get(...[key, { range, etag }, signal]: Parameters<Bucket['get']>): ReturnType<Bucket['get']> {
    const headers = {
      ...(range === undefined ? {} : { range: `bytes=${range.offset}-${range.offset + range.length - 1}` }),
      ...(etag === undefined ? {} : { 'if-match': `"${etag}"` }),
    };
    const response = await this.#client.request({ method: 'GET', key, headers, expected: [404, 412] }, signal);
    if (response.status === 404 || response.status === 412) {
      await response.body?.cancel().catch(() => undefined);
      return { kind: response.status === 404 ? 'absent' : 'changed' };
    }
    if (range !== undefined && response.status !== 206) {
      await response.body?.cancel().catch(() => undefined);
      throw new BucketFailure('S3 ignored a range', { isTransient: false });
    }
    return {
      kind: 'body',
      object: toObject(key, response),
      stream: response.body ?? new Blob([]).stream(),
      readAll: () => readAll(response, signal),
    };
  }

  async put(key: string, bytes: Uint8Array, { only, nonce, signal }: PutOptions): ReturnType<Bucket['put']> {
    if (signal?.aborted === true) throw abortError(signal);
    const headers = {
      ...(nonce === undefined ? {} : { [NONCE_HEADER]: nonce }),
      ...(only === undefined
        ? {}
        : only.kind === 'absent'
          ? { 'if-none-match': '*' }
          : { 'if-match': `"${only.etag}"` }),
    };
    // 404: there is nothing that could match.
    const expected = only === undefined ? [] : only.kind === 'absent' ? [412] : [412, 404];
    const response = await this.#client.request({ method: 'PUT', key, headers, body: bytes, expected });
    await response.body?.cancel().catch(() => undefined);
    return response.ok ? { kind: 'stored', etag: etagOf(response) } : { kind: 'refused' };
  }

  async openUpload(key: string, nonce: string): Promise<Upload> {
    const headers = { [NONCE_HEADER]: nonce };
    const response = await this.#client.request({ method: 'POST', key, query: { uploads: '' }, headers });
    const answer = parseAnswer(await textOfBody(response), 'InitiateMultipartUploadResult');
    return new S3Upload(this.#client, key, textOf(answer, 'UploadId'));
  }

  async list(...[query, signal]: Parameters<Bucket['list']>): ReturnType<Bucket['list']> {
    const client = this.#client;
    const { after, cursor } = query;
    const root = client.fullKey('');
    const response = await client.request(
      {
        method: 'GET',
        query: {
          'list-type': '2',
          'encoding-type': 'url',
          'max-keys': String(query.limit),
          prefix: root + query.prefix,
          ...(cursor === undefined ? {} : { 'continuation-token': cursor }),
          ...(after === '' ? {} : { 'start-after': root + after }),
        },
      },
      signal,
    );
    const page = parseObjects(await textOfBody(response, signal));
    return {
      objects: page.objects.map((object) => ({ ...object, key: object.key.slice(root.length) })),
      cursor: page.cursor,
    };
  }

  async delete(keys: readonly string[]): Promise<void> {
    const body = writeDelete(keys.map((key) => this.#client.fullKey(key)));
    const headers = { 'content-md5': createHash('md5').update(body).digest('base64') };
    const response = await this.#client.request({ method: 'POST', query: { delete: '' }, headers, body });
    assertDeleted(await textOfBody(response));
  }

  async abortUploadsBefore(beforeMs: number, signal?: AbortSignal): Promise<void> {
    const root = this.#client.fullKey('');
    let next: Readonly<Record<string, string>> | undefined = {};
    while (next !== undefined) {
      const query: Record<string, string> = { uploads: '', 'encoding-type': 'url', prefix: root, ...next };
      // oxlint-disable-next-line no-await-in-loop -- page after page
      const response = await this.#client.request({ method: 'GET', query }, signal);
      // oxlint-disable-next-line no-await-in-loop
      const page = parseUploads(await textOfBody(response, signal));
      for (const { key, uploadId, initiatedAtMs } of page.uploads) {
        if (initiatedAtMs >= beforeMs) continue;
        // oxlint-disable-next-line no-await-in-loop
        await new S3Upload(this.#client, key.slice(root.length), uploadId).abort();
      }
      next = page.next;
    }
  }
}

class S3Upload implements Upload {
  readonly #client: S3Client;
  readonly #key: string;
  readonly #uploadId: string;

  constructor(client: S3Client, key: string, uploadId: string) {
    this.#client = client;
    this.#key = key;
    this.#uploadId = uploadId;
  }

  async copyPart(number: number, sourceKey: string): Promise<string> {
    const headers = { 'x-amz-copy-source': this.#client.copySource(sourceKey) };
    const response = await this.#client.request({ method: 'PUT', ...this.#part(number), headers });
    return unquoted(textOf(parseAnswer(await textOfBody(response), 'CopyPartResult'), 'ETag'));
  }

  async putPart(number: number, bytes: Uint8Array): Promise<string> {
    const response = await this.#client.request({ method: 'PUT', ...this.#part(number), body: bytes });
    await response.body?.cancel().catch(() => undefined);
    return etagOf(response);
  }

  async complete(etags: readonly string[]): Promise<void> {
    const query = { uploadId: this.#uploadId };
    const response = await this.#client.request({ method: 'POST', key: this.#key, query, body: writeComplete(etags) });
    parseAnswer(await textOfBody(response), 'CompleteMultipartUploadResult');
  }

  async abort(): Promise<void> {
    const query = { uploadId: this.#uploadId };
    const response = await this.#client.request({ method: 'DELETE', key: this.#key, query, expected: [404] });
    await response.body?.cancel().catch(() => undefined);
  }

  #part(number: number): { readonly key: string; readonly query: Readonly<Record<string, string>> } {
    return { key: this.#key, query: { partNumber: String(number), uploadId: this.#uploadId } };
  }
}

/** The rest of an answer; a connection that breaks meanwhile is no different from one that gave none. */
async function readAll(response: Response, signal?: AbortSignal): Promise<ArrayBuffer> {
  try {
    return await response.arrayBuffer();
  } catch (cause) {
    if (signal?.aborted === true) throw abortError(signal);
    throw new BucketFailure('a body broke off', { isTransient: true, cause });
  }
}

async function textOfBody(response: Response, signal?: AbortSignal): Promise<string> {
  return new TextDecoder().decode(await readAll(response, signal));
}

function etagOf(response: Response): string {
  const etag = unquoted(response.headers.get('etag') ?? '');
  if (etag === '') throw new BucketFailure('S3 answered without an etag', { isTransient: false });
  return etag;
}

function toObject(key: string, response: Response): BucketObject {
  const { headers } = response;
  const total = /\/(\d+)$/.exec(headers.get('content-range') ?? '')?.[1];
  return {
    key,
    bytes: Number(total ?? headers.get('content-length') ?? 0),
    etag: etagOf(response),
    modifiedAtMs: Date.parse(headers.get('last-modified') ?? ''),
  };
}
