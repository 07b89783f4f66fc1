/** What a bucket of the test server holds, in memory: objects, and uploads in parts. Every call happens at once, as a whole. */
import { createHash, randomUUID } from 'node:crypto';

export interface StoredObject {
  readonly bytes: Buffer;
  readonly etag: string;
  readonly modifiedAtMs: number;
  /** Headers `x-amz-meta-…`. */
  readonly meta: Readonly<Record<string, string>>;
}

export interface StoredUpload {
  readonly key: string;
  readonly meta: Readonly<Record<string, string>>;
  readonly parts: Map<number, { readonly bytes: Buffer; readonly etag: string }>;
  initiatedAtMs: number;
}

/** The code of an error of S3. */
export class S3Error extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string) {
    super(code);
    this.status = status;
    this.code = code;
  }
}

export class S3Objects {
  readonly objects: Map<string, StoredObject> = new Map();
  readonly uploads: Map<string, StoredUpload> = new Map();
  readonly minPartBytes: number;

  constructor(minPartBytes: number) {
    this.minPartBytes = minPartBytes;
  }

  /** Throws where `If-Match` or `If-None-Match` forbids a write. */
  assertWritable(key: string, headers: Readonly<Record<string, unknown>>): void {
    const etag = this.objects.get(key)?.etag;
    if (headers['if-none-match'] === '*' && etag !== undefined) throw new S3Error(412, 'PreconditionFailed');
    const wanted = headers['if-match'];
    if (typeof wanted !== 'string') return;
    if (etag === undefined) throw new S3Error(404, 'NoSuchKey');
    if (wanted.replaceAll('"', '') !== etag) throw new S3Error(412, 'PreconditionFailed');
  }

  put(key: string, bytes: Buffer, meta: Readonly<Record<string, string>>): StoredObject {
    const object = { bytes, etag: md5(bytes), modifiedAtMs: Date.now(), meta };
    this.objects.set(key, object);
    return object;
  }

  open(key: string, meta: Readonly<Record<string, string>>): string {
    const uploadId = randomUUID();
    this.uploads.set(uploadId, { key, meta, parts: new Map(), initiatedAtMs: Date.now() });
    return uploadId;
  }

  upload(key: string, uploadId: string | null): StoredUpload {
    const upload = this.uploads.get(uploadId ?? '');
    if (upload === undefined || upload.key !== key) throw new S3Error(404, 'NoSuchUpload');
    return upload;
  }

  putPart(upload: StoredUpload, number: number, bytes: Buffer): string {
    const etag = md5(bytes);
    upload.parts.set(number, { bytes, etag });
    return etag;
  }

  complete(upload: StoredUpload, uploadId: string, parts: readonly { number: number; etag: string }[]): StoredObject {
    const chosen = parts.map(({ number, etag }, index) => {
      const part = upload.parts.get(number);
      if (part === undefined || part.etag !== etag) throw new S3Error(400, 'InvalidPart');
      if (index > 0 && number <= (parts[index - 1]?.number ?? 0)) throw new S3Error(400, 'InvalidPartOrder');
      const isSmall = index < parts.length - 1 && part.bytes.length < this.minPartBytes;
      if (isSmall) throw new S3Error(400, 'EntityTooSmall');
      return part;
    });
    if (chosen.length === 0) throw new S3Error(400, 'MalformedXML');
    const digests = Buffer.concat(chosen.map((part) => Buffer.from(part.etag, 'hex')));
    const object = {
      bytes: Buffer.concat(chosen.map((part) => part.bytes)),
      etag: `${md5(digests)}-${chosen.length}`,
      modifiedAtMs: Date.now(),
      meta: upload.meta,
    };
    this.objects.set(upload.key, object);
    this.uploads.delete(uploadId);
    return object;
  }

  /** Keys in order of their bytes. */
  keys(prefix: string, after: string): string[] {
    return [...this.objects.keys()]
      .filter((key) => key.startsWith(prefix) && key > after)
      .sort((left, right) => Buffer.compare(Buffer.from(left), Buffer.from(right)));
  }
}

export function md5(bytes: Uint8Array): string {
  return createHash('md5').update(bytes).digest('hex');
}
