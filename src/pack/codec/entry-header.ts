/**
 * Headers of pack entries (gitformat-pack, "pack-*.pack files have the following format"): a type and an
 * inflated size in a little-endian varint whose first byte holds 3 bits of type and 4 bits of size, then for
 * an ofs-delta the distance back to its base (big-endian varint, each continuation adds one), for a ref-delta the
 * base's 20-byte name. Sizes and distances are exact numbers below 2^53.
 */
import { HotpackError } from '../../bytes/error.ts';
import { OID_BYTES } from '../../bytes/oid.ts';
import type { EntryType } from './object-type.ts';
import { OBJ_COMMIT, OBJ_OFS_DELTA, OBJ_REF_DELTA } from './object-type.ts';

/** Returned instead of a length where the input ends too early. */
export const NEED_MORE_INPUT = -1;

/** No entry header is longer: 8 bytes of type and size, 20 of a base's name. */
export const MAX_ENTRY_HEADER_BYTES = 28;

/** One header; reused from entry to entry by those who parse many. */
export interface EntryHeader {
  type: EntryType;
  /** Inflated size of what follows, in bytes: of the delta itself where the entry is one. */
  size: number;
  /** ofs-delta: this entry's offset minus its base's, above 0. Otherwise 0. */
  baseDistance: number;
  /** ref-delta: where in the input the base's 20 bytes lie. Otherwise -1. */
  baseOidAt: number;
}

export function createEntryHeader(): EntryHeader {
  return { type: OBJ_COMMIT, size: 0, baseDistance: 0, baseOidAt: -1 };
}

/**
 * Parses the header at `start` of `input` into `header`. Returns its length in bytes (the zlib stream follows), or
 * `NEED_MORE_INPUT`. Throws `malformed_pack` on types 0 and 5, numbers of 2^53 and more, a distance of 0.
 */
export function parseEntryHeader(input: Uint8Array, start: number, end: number, header: EntryHeader): number {
  let at = start;
  if (at >= end) return NEED_MORE_INPUT;
  let byte = input[at++] as number;
  const type = entryTypeOf(byte);
  let size = byte & 15;
  let factor = 16;
  while (byte & 0x80) {
    if (at >= end) return NEED_MORE_INPUT;
    byte = input[at++] as number;
    size += (byte & 0x7f) * factor;
    factor *= 128;
    if (factor > 2 ** 53) {
      if (byte & 0x80 || size > Number.MAX_SAFE_INTEGER) {
        throw new HotpackError('malformed_pack', 'pack entry with a size of 2^53 or more');
      }
    }
  }
  header.type = type;
  header.size = size;
  header.baseDistance = 0;
  header.baseOidAt = -1;
  if (type === OBJ_OFS_DELTA) {
    if (at >= end) return NEED_MORE_INPUT;
    byte = input[at++] as number;
    let distance = byte & 0x7f;
    while (byte & 0x80) {
      if (at >= end) return NEED_MORE_INPUT;
      byte = input[at++] as number;
      distance = (distance + 1) * 128 + (byte & 0x7f);
      if (distance > Number.MAX_SAFE_INTEGER) {
        throw new HotpackError('malformed_pack', 'delta base 2^53 or more bytes away');
      }
    }
    if (distance === 0) throw new HotpackError('malformed_pack', 'delta with itself as base');
    header.baseDistance = distance;
  } else if (type === OBJ_REF_DELTA) {
    if (at + OID_BYTES > end) return NEED_MORE_INPUT;
    header.baseOidAt = at;
    at += OID_BYTES;
  }
  return at - start;
}

/** The type that an entry's first byte tells. Throws `malformed_pack` on types 0 and 5. */
export function entryTypeOf(firstByte: number): EntryType {
  const type = (firstByte >> 4) & 7;
  if (type === 0 || type === 5) {
    throw new HotpackError('malformed_pack', `pack entry of unknown type ${type}`);
  }
  return type as EntryType;
}

/**
 * Writes type and size at `at` of `target` (up to 8 bytes); returns where they end.
 * A delta's base comes next: `writeOffsetVarint` of `src/bytes` for a distance, or 20 bytes.
 */
export function writeEntryHeader(target: Uint8Array, at: number, type: EntryType, size: number): number {
  let rest = Math.floor(size / 16);
  let byte = (type << 4) | (size & 15);
  while (rest > 0) {
    target[at++] = byte | 0x80;
    byte = rest & 0x7f;
    rest = Math.floor(rest / 128);
  }
  target[at++] = byte;
  return at;
}
