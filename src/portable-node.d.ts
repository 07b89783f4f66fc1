/**
 * The part of Node's modules that Node, workerd and Deno all have, as far as the portable rooms use it. With `types: []`
 * nothing else of Node compiles there. Add what a room needs only after it ran on all three.
 */
declare module 'node:crypto' {
  type Bytes = Uint8Array | string;
  interface Digest {
    update(data: Bytes): Digest;
    digest(): Uint8Array<ArrayBuffer>;
    digest(encoding: 'hex' | 'base64' | 'base64url'): string;
    /** Copies the state; the original goes on. */
    copy(): Digest;
  }
  interface Mac {
    update(data: Bytes): Mac;
    digest(): Uint8Array<ArrayBuffer>;
    digest(encoding: 'hex' | 'base64' | 'base64url'): string;
  }
  export type Hash = Digest;
  export type Hmac = Mac;
  export function createHash(algorithm: 'sha1' | 'sha256' | 'md5'): Digest;
  export function createHmac(algorithm: 'sha1' | 'sha256', key: Bytes): Mac;
  export function randomBytes(bytes: number): Uint8Array<ArrayBuffer>;
  export function randomUUID(): string;
  /** Throws where the lengths differ. */
  export function timingSafeEqual(left: Uint8Array, right: Uint8Array): boolean;
}

declare module 'node:zlib' {
  export interface ZlibOptions {
    level?: number;
    windowBits?: number;
    memLevel?: number;
    strategy?: number;
    finishFlush?: number;
    dictionary?: Uint8Array;
    /** Inflating throws (ERR_BUFFER_TOO_LARGE) above this many bytes. */
    maxOutputLength?: number;
    chunkSize?: number;
  }
  export const constants: {
    readonly Z_NO_FLUSH: number;
    readonly Z_SYNC_FLUSH: number;
    readonly Z_FINISH: number;
    readonly Z_NO_COMPRESSION: number;
    readonly Z_BEST_SPEED: number;
    readonly Z_BEST_COMPRESSION: number;
    readonly Z_DEFAULT_COMPRESSION: number;
    readonly Z_DEFAULT_STRATEGY: number;
  };
  export function inflateSync(bytes: Uint8Array, options?: ZlibOptions): Uint8Array<ArrayBuffer>;
  export function inflateRawSync(bytes: Uint8Array, options?: ZlibOptions): Uint8Array<ArrayBuffer>;
  export function gunzipSync(bytes: Uint8Array, options?: ZlibOptions): Uint8Array<ArrayBuffer>;
  export function deflateSync(bytes: Uint8Array, options?: ZlibOptions): Uint8Array<ArrayBuffer>;
  export function deflateRawSync(bytes: Uint8Array, options?: ZlibOptions): Uint8Array<ArrayBuffer>;
  export function gzipSync(bytes: Uint8Array, options?: ZlibOptions): Uint8Array<ArrayBuffer>;
  export function crc32(bytes: Uint8Array | string, seed?: number): number;
}

declare module 'node:buffer' {
  type Encoding = 'utf8' | 'utf-8' | 'hex' | 'base64' | 'base64url' | 'latin1' | 'ascii' | 'binary';
  export interface Buffer extends Uint8Array<ArrayBuffer> {
    toString(encoding?: Encoding, start?: number, end?: number): string;
    equals(other: Uint8Array): boolean;
    compare(
      target: Uint8Array,
      targetStart?: number,
      targetEnd?: number,
      sourceStart?: number,
      sourceEnd?: number,
    ): -1 | 0 | 1;
    copy(target: Uint8Array, targetStart?: number, sourceStart?: number, sourceEnd?: number): number;
    readUInt32BE(offset?: number): number;
    swap32(): Buffer;
    writeUInt32BE(value: number, offset?: number): number;
  }
  export const Buffer: {
    from(text: string, encoding?: Encoding): Buffer;
    from(bytes: ArrayBufferLike, offset?: number, length?: number): Buffer;
    from(bytes: Uint8Array): Buffer;
    alloc(bytes: number): Buffer;
    allocUnsafe(bytes: number): Buffer;
    concat(parts: readonly Uint8Array[], totalBytes?: number): Buffer;
    compare(left: Uint8Array, right: Uint8Array): -1 | 0 | 1;
    isBuffer(value: unknown): value is Buffer;
  };
}
