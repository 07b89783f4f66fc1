/**
 * A document in a bucket is an object under its key with a `!` behind, a character that no key holds and that sorts before all that
 * keys hold: so a list is in the order of keys. Its bytes are a head of fixed length and the value:
 *
 *     hotpack-document 1 <nonce> <nonce of the version it replaced> … (33 in all, the latest first)\n
 *
 * The nonces make etags unique even where a value comes back (an etag is an MD5 on most stores), and let a writer whose answer was
 * lost see whether its version was current once. Nonces are 24 hexadecimal digits, zeros where there was no version.
 */
import { HotpackError } from '../../../bytes/error.ts';

const DOCUMENT_END = '!';
const MAGIC = 'hotpack-document 1';
/** How many nonces a head has room for. */
export const REMEMBERED_NONCES = 33;
const NONCE_CHARACTERS = 24;
/** What the head adds to the length of a value. */
export const DOCUMENT_HEAD_BYTES: number = MAGIC.length + REMEMBERED_NONCES * (1 + NONCE_CHARACTERS) + 1;
const HEAD_PATTERN = new RegExp(`^${MAGIC}((?: [0-9a-f]{${NONCE_CHARACTERS}}){${REMEMBERED_NONCES}})\\n$`);
const NO_VERSION = '0'.repeat(NONCE_CHARACTERS);

export interface StoredDocument {
  /** Latest first; all others were replaced, each by the one before it. As many as are remembered. */
  readonly nonces: readonly string[];
  readonly value: Uint8Array;
}

export function documentKey(key: string): string {
  return key + DOCUMENT_END;
}

/** The key of a document or an object, and which of them it is. */
export function splitStoredKey(stored: string): { readonly kind: 'object' | 'document'; readonly key: string } {
  return stored.endsWith(DOCUMENT_END)
    ? { kind: 'document', key: stored.slice(0, -DOCUMENT_END.length) }
    : { kind: 'object', key: stored };
}

export function createNonce(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(NONCE_CHARACTERS / 2));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** `replaced`: the nonces of the version it is to replace; empty where there is none. */
export function writeDocument(nonce: string, replaced: readonly string[], value: Uint8Array): Uint8Array {
  const nonces = [nonce, ...replaced];
  const head = Array.from({ length: REMEMBERED_NONCES }, (_, i) => ` ${nonces[i] ?? NO_VERSION}`).join('');
  const bytes = new Uint8Array(DOCUMENT_HEAD_BYTES + value.length);
  bytes.set(new TextEncoder().encode(`${MAGIC}${head}\n`));
  bytes.set(value, DOCUMENT_HEAD_BYTES);
  return bytes;
}

/** Throws `storage_unavailable` where the bytes are no document. */
export function parseDocument(key: string, bytes: Uint8Array): StoredDocument {
  const head = HEAD_PATTERN.exec(new TextDecoder('latin1').decode(bytes.subarray(0, DOCUMENT_HEAD_BYTES)));
  if (head === null) throw new HotpackError('storage_unavailable', 'a document without its head', { detail: { key } });
  const nonces = (head[1] as string).trim().split(' ');
  return { nonces: nonces.filter((nonce) => nonce !== NO_VERSION), value: bytes.subarray(DOCUMENT_HEAD_BYTES) };
}
