/** What a key is (contract.ts), checked in this one place by every driver. */
import { HotpackError } from '../bytes/error.ts';

const MAX_KEY_BYTES = 1000;
const MAX_SEGMENT_BYTES = 250;
/** The most bytes that a document holds. */
export const MAX_DOCUMENT_BYTES: number = 1024 * 1024;
/** The most bytes that `rewriteHead` replaces. */
export const MAX_HEAD_BYTES = 4096;
/** The most entries of a `list` page, and how many there are where none are asked for. */
const MAX_PAGE = 1000;

const SEGMENT_PATTERN = /^[A-Za-z0-9._%~-]+$/;
const PREFIX_END_PATTERN = /^[A-Za-z0-9._%~-]*$/;
/** A first segment that drivers keep for what is in the making. */
const RESERVED_SEGMENT = 'tmp';

/** True where `segment` may stand between the slashes of a key. */
export function isKeySegment(segment: string): boolean {
  return segment.length <= MAX_SEGMENT_BYTES && segment !== '.' && segment !== '..' && SEGMENT_PATTERN.test(segment);
}

/** True where `key` may be an object's or a document's. */
export function isKey(key: string): boolean {
  if (key.length > MAX_KEY_BYTES) return false;
  const segments = key.split('/');
  return segments[0] !== RESERVED_SEGMENT && segments.every(isKeySegment);
}

/** Throws `invalid_argument` unless `key` is one. */
export function assertKey(key: string): void {
  if (typeof key !== 'string' || !isKey(key)) throw invalid('not a storage key', { key: shown(key) });
}

/** Throws `invalid_argument` unless some key could start with `prefix`. */
export function assertPrefix(prefix: string): void {
  if (typeof prefix === 'string' && prefix.length <= MAX_KEY_BYTES) {
    const segments = prefix.split('/');
    const end = segments.pop() as string;
    if (segments.every(isKeySegment) && PREFIX_END_PATTERN.test(end)) return;
  }
  throw invalid('not a prefix of a storage key', { prefix: shown(prefix) });
}

/** Throws `invalid_argument` unless `[offset, offset + length)` lies within `bytes`. */
export function assertRange(key: string, offset: number, length: number, bytes: number): void {
  const counts = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0;
  if (!counts || offset + length > bytes) {
    throw invalid('a range beyond the end of an object', { key, offset, length, bytes });
  }
}

/** Throws `limit_exceeded` where an object is longer than its reader takes. */
export function assertTakes(key: string, bytes: number, maxBytes: number): void {
  if (bytes <= maxBytes) return;
  throw new HotpackError('limit_exceeded', 'an object larger than its reader takes', {
    detail: { key, bytes, maxBytes },
  });
}

/** Throws `invalid_argument` above what a document holds. */
export function assertDocumentBytes(key: string, bytes: Uint8Array): void {
  if (bytes.length > MAX_DOCUMENT_BYTES) {
    throw invalid('a document beyond 1 MiB', { key, bytes: bytes.length });
  }
}

/** Throws `invalid_argument` unless `bytes` can replace the head of an object of `bytesWritten`. */
export function assertHead(key: string, bytes: Uint8Array, bytesWritten: number): void {
  if (bytes.length > MAX_HEAD_BYTES || bytes.length > bytesWritten) {
    throw invalid('a head of at most 4,096 bytes that were written before', { key, bytes: bytes.length, bytesWritten });
  }
}

/** How many entries a page holds. */
export function resolvePageLimit(limit: number = MAX_PAGE): number {
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_PAGE) {
    throw invalid('a page holds 1 to 1,000 entries', { limit });
  }
  return limit;
}

function shown(text: unknown): string {
  return String(text).slice(0, 200);
}

function invalid(message: string, detail: Readonly<Record<string, unknown>>): HotpackError {
  return new HotpackError('invalid_argument', message, { detail });
}
