/** The part of Cloudflare's `R2Bucket` that the driver uses (Workers API reference, "R2: Workers API"). */
export interface R2Object {
  readonly key: string;
  readonly size: number;
  readonly etag: string;
  readonly uploaded: Date;
  readonly customMetadata?: Record<string, string>;
}

export interface R2ObjectBody extends R2Object {
  readonly body: ReadableStream<Uint8Array>;
  arrayBuffer(): Promise<ArrayBuffer>;
}

export interface R2Conditional {
  readonly etagMatches?: string;
  readonly etagDoesNotMatch?: string;
}

export interface R2MultipartUpload {
  readonly uploadId: string;
  uploadPart(partNumber: number, value: Uint8Array | ReadableStream<Uint8Array>): Promise<R2UploadedPart>;
  complete(parts: readonly R2UploadedPart[]): Promise<R2Object>;
  abort(): Promise<void>;
}

export interface R2UploadedPart {
  readonly partNumber: number;
  readonly etag: string;
}

export interface R2Bucket {
  head(key: string): Promise<R2Object | null>;
  /** Without a body where `onlyIf` is not met. */
  get(
    key: string,
    options?: {
      readonly range?: { readonly offset: number; readonly length: number };
      readonly onlyIf?: R2Conditional;
    },
  ): Promise<R2ObjectBody | R2Object | null>;
  /** `null` where `onlyIf` is not met. */
  put(
    key: string,
    value: Uint8Array,
    options?: { readonly onlyIf?: R2Conditional; readonly customMetadata?: Record<string, string> },
  ): Promise<R2Object | null>;
  createMultipartUpload(
    key: string,
    options?: { readonly customMetadata?: Record<string, string> },
  ): Promise<R2MultipartUpload>;
  list(options: {
    readonly prefix?: string;
    readonly startAfter?: string;
    readonly cursor?: string;
    readonly limit?: number;
  }): Promise<{ readonly objects: readonly R2Object[]; readonly truncated: boolean; readonly cursor?: string }>;
  delete(keys: string[]): Promise<void>;
}
