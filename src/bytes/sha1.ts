/** SHA-1 as git uses it: over bytes that come in pieces, read out once. */
import { createHash } from 'node:crypto';
import type { Oid } from './oid.ts';

export interface Sha1 {
  update(bytes: Uint8Array): Sha1;
  /** The 20 bytes. `digest` and `hex` end the hash: call one of them, once. */
  digest(): Uint8Array;
  /** The same as 40 hex digits. */
  hex(): Oid;
}

export function createSha1(): Sha1 {
  const hash = createHash('sha1');
  const sha1: Sha1 = {
    update(bytes) {
      hash.update(bytes);
      return sha1;
    },
    digest() {
      const digest = hash.digest();
      return new Uint8Array(digest.buffer, digest.byteOffset, digest.byteLength);
    },
    hex() {
      return hash.digest('hex');
    },
  };
  return sha1;
}

/** SHA-1 of bytes that are all here, as 20 bytes. */
export function sha1Of(bytes: Uint8Array): Uint8Array {
  return createSha1().update(bytes).digest();
}

/** SHA-1 of bytes that are all here, as 40 hex digits. */
export function sha1HexOf(bytes: Uint8Array): Oid {
  return createSha1().update(bytes).hex();
}
