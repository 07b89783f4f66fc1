/**
 * The two variable-length numbers of git's pack format (gitformat-pack, "Pack file entry" and "Deltified
 * representation"), synchronous and bounded by `Number.MAX_SAFE_INTEGER`:
 *
 * - **size varint**: seven bits a byte, least significant first, the high bit says that more follow. A delta's
 *   source and result size; an entry's size after its first byte, which holds four bits (`read…` with `shift` 4).
 * - **offset varint**: seven bits a byte, most significant first, and one is added before each shift, so that no number
 *   has two spellings. The distance to an ofs-delta's base.
 *
 * "Need more bytes" is a returned value (`nextOffset` is -1). Results lie in one reused array-free shape per call: a
 * `VarintCursor` that the caller keeps, since an index of a million entries reads millions of these.
 */
import { HotpackError } from './error.ts';

export interface VarintCursor {
  /** What was read. */
  value: number;
  /** Where the next field begins; -1 where the bytes ended within the number (`value` is then meaningless). */
  nextOffset: number;
}

export function createVarintCursor(): VarintCursor {
  return { value: 0, nextOffset: -1 };
}

/**
 * Reads the size varint at `offset`. For the rest of an entry's header pass `initial` (the four bits) and
 * `shift` 4. Rejects numbers above 2^53 - 1 with `malformed_pack`.
 */
export function readSizeVarint(
  bytes: Uint8Array,
  offset: number,
  into: VarintCursor,
  first: { readonly initial: number; readonly shift: number } = FROM_ZERO,
): void {
  let value = first.initial;
  let scale = 2 ** first.shift;
  for (let at = offset; at < bytes.length; at++) {
    const byte = bytes[at] as number;
    const bits = byte & 0x7f;
    // A zero group adds nothing at any height, but a run of them must end: no size takes more than ten bytes.
    if (bits !== 0) value += bits * scale;
    if (value > Number.MAX_SAFE_INTEGER || at - offset >= MAX_VARINT_BYTES) throw tooLarge('size', at);
    if (byte < 0x80) {
      into.value = value;
      into.nextOffset = at + 1;
      return;
    }
    scale *= 128;
  }
  into.nextOffset = -1;
}

/** Reads the offset varint at `offset`. Rejects numbers above 2^53 - 1 with `malformed_pack`. */
export function readOffsetVarint(bytes: Uint8Array, offset: number, into: VarintCursor): void {
  let value = 0;
  for (let at = offset; at < bytes.length; at++) {
    const byte = bytes[at] as number;
    value = value * 128 + (byte & 0x7f);
    if (value > Number.MAX_SAFE_INTEGER) throw tooLarge('offset', at);
    if (byte < 0x80) {
      into.value = value;
      into.nextOffset = at + 1;
      return;
    }
    value += 1;
  }
  into.nextOffset = -1;
}

/** Writes `value` as a size varint at `offset` of `target`; returns where the next field begins. */
export function writeSizeVarint(value: number, target: Uint8Array, offset: number): number {
  assertWritable(value);
  let rest = value;
  let at = offset;
  while (rest >= 0x80) {
    target[at++] = (rest % 128) | 0x80;
    rest = Math.floor(rest / 128);
  }
  target[at++] = rest;
  return at;
}

/** Writes `value` as an offset varint at `offset` of `target`; returns where the next field begins. */
export function writeOffsetVarint(value: number, target: Uint8Array, offset: number): number {
  assertWritable(value);
  const length = offsetVarintBytes(value);
  let rest = value;
  target[offset + length - 1] = rest % 128;
  for (let at = offset + length - 2; at >= offset; at--) {
    rest = Math.floor(rest / 128) - 1;
    target[at] = (rest % 128) | 0x80;
  }
  return offset + length;
}

/** How many bytes `value` takes as a size varint. */
export function sizeVarintBytes(value: number): number {
  let length = 1;
  for (let rest = Math.floor(value / 128); rest > 0; rest = Math.floor(rest / 128)) length++;
  return length;
}

/** How many bytes `value` takes as an offset varint. */
export function offsetVarintBytes(value: number): number {
  let length = 1;
  for (let rest = Math.floor(value / 128); rest > 0; rest = Math.floor((rest - 1) / 128)) length++;
  return length;
}

/** No number that these functions take or return is longer. */
export const MAX_VARINT_BYTES = 10;

const FROM_ZERO = { initial: 0, shift: 0 } as const;

function assertWritable(value: number): void {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new HotpackError('invalid_argument', `a varint holds 0 to 2^53 - 1, not ${value}`, { detail: { value } });
  }
}

function tooLarge(field: string, offset: number): HotpackError {
  return new HotpackError('malformed_pack', `a varint ${field} exceeds 2^53 - 1`, { detail: { field, offset } });
}
