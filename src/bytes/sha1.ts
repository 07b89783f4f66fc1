/**
 * SHA-1 as git uses it: over bytes that come in pieces, read out once, or over bytes that are all here. For those the
 * platform's one-shot call is several times as fast as a hash object where the bytes are few, most of all when
 * it answers in hex: a string costs less to make than an array.
 */
import * as platform from 'node:crypto';
import type { Oid } from './oid.ts';
import { oidToBytes, writeOidBytes } from './oid.ts';

/** Not on every runtime yet (Node has it from 21.7 on). */
type HashAtOnce = (algorithm: 'sha1', bytes: Uint8Array, encoding: 'hex') => string;
const { createHash, hash: hashAtOnce } = platform as { createHash: typeof platform.createHash; hash?: HashAtOnce };

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

/** SHA-1 of bytes that are all here, as 40 hex digits. */
export const sha1HexOf: (bytes: Uint8Array) => Oid =
  hashAtOnce === undefined
    ? (bytes) => createHash('sha1').update(bytes).digest('hex')
    : (bytes) => hashAtOnce('sha1', bytes, 'hex');

/** The same as 20 bytes. */
export function sha1Of(bytes: Uint8Array): Uint8Array {
  return oidToBytes(sha1HexOf(bytes));
}

/** The same, written at `at` of `target`. */
export function writeSha1Of(bytes: Uint8Array, target: Uint8Array, at: number): void {
  writeOidBytes(sha1HexOf(bytes), target, at);
}
