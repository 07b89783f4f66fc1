/**
 * Decoding tables of DEFLATE (RFC 1951, 3.2.2 to 3.2.6) in two levels: the next `rootBits` bits select an entry;
 * where a code is longer, that entry leads to a second table selected by the bits after. Tables are typed arrays
 * that are used again from block to block; building one allocates nothing.
 *
 * An entry, from the lowest bit: 4 bits code length (both levels together), 4 bits extra bits (in a link: the bits
 * that select in the second table), 4 bits kind, then the value: literal, base length, base distance, or where the
 * second table begins.
 */
import { HotpackError } from '../../../bytes/error.ts';

export const KIND_MASK = 0xf00;
export const KIND_LITERAL = 0x000;
export const KIND_BASE = 0x100;
export const KIND_END = 0x200;
export const KIND_LINK = 0x400;
export const KIND_INVALID = 0x800;

/** Table sizes: with 286 literal and length codes 10 root bits never take over 1,334 entries, with 30 distance codes 9 never over 592. */
export const LITERAL_ROOT_BITS = 10;
export const DISTANCE_ROOT_BITS = 8;
export const LITERAL_TABLE_ENTRIES = 2048;
export const DISTANCE_TABLE_ENTRIES = 1024;

const MAX_CODE_BITS = 15;

/** What each literal and length symbol becomes, without its code length. */
export const LITERAL_SYMBOLS: Int32Array = literalSymbols();
export const DISTANCE_SYMBOLS: Int32Array = distanceSymbols();
/** The 19 symbols of the code that code lengths are written in: their own numbers. */
export const LENGTH_SYMBOLS: Int32Array = Int32Array.from({ length: 19 }, (_, symbol) => symbol << 12);

const counts = new Uint16Array(MAX_CODE_BITS + 1);
const offsets = new Uint16Array(MAX_CODE_BITS + 2);
const sorted = new Uint16Array(320);

export interface TableInput {
  /** Code length of each symbol, 0 where it is not used. */
  readonly lengths: Uint8Array;
  readonly from: number;
  readonly count: number;
  readonly symbols: Int32Array;
  /** An incomplete code is accepted if it is a single code of one bit (as zlib does), and only then. */
  readonly allowSingle: boolean;
}

/** Fills `table`; returns how many bits select in its first level, at most `rootBits`. Throws `malformed_pack` on an impossible code. */
export function buildTable(input: TableInput, table: Int32Array, rootBits: number): number {
  const { lengths, from, count, symbols } = input;
  counts.fill(0);
  for (let i = 0; i < count; i++) {
    const length = lengths[from + i] as number;
    counts[length] = (counts[length] as number) + 1;
  }
  let max = MAX_CODE_BITS;
  while (max > 0 && counts[max] === 0) max--;
  if (max === 0) {
    table[0] = KIND_INVALID | 1;
    table[1] = KIND_INVALID | 1;
    return 1;
  }
  let left = 1;
  offsets[1] = 0;
  for (let length = 1; length <= MAX_CODE_BITS; length++) {
    left = left * 2 - (counts[length] as number);
    if (left < 0) throw malformed('an over-subscribed code');
    offsets[length + 1] = (offsets[length] as number) + (counts[length] as number);
  }
  if (left > 0 && !(input.allowSingle && max === 1)) throw malformed('an incomplete code');
  for (let i = 0; i < count; i++) {
    const length = lengths[from + i] as number;
    if (length !== 0) {
      const at = offsets[length] as number;
      sorted[at] = i;
      offsets[length] = at + 1;
    }
  }
  const root = max < rootBits ? max : rootBits;
  const rootSize = 1 << root;
  const rootMask = rootSize - 1;
  if (left > 0) table.fill(KIND_INVALID | 1, 0, rootSize);

  let used = rootSize;
  let next = 0;
  let code = 0; // bit-reversed
  let link = -1; // the root entry whose second table is being filled
  let linkStart = 0;
  let linkSize = 0;
  for (let length = 1; length <= max; length++) {
    for (let n = counts[length] as number; n > 0; n--) {
      const entry = (symbols[sorted[next++] as number] as number) | length;
      if (length <= root) {
        const step = 1 << length;
        for (let at = code; at < rootSize; at += step) table[at] = entry;
      } else {
        if ((code & rootMask) !== link) {
          link = code & rootMask;
          const bits = secondLevelBits(length, root, max, n);
          linkStart = used;
          linkSize = 1 << bits;
          used += linkSize;
          table[link] = KIND_LINK | (linkStart << 12) | (bits << 4) | root;
        }
        const step = 1 << (length - root);
        for (let at = code >>> root; at < linkSize; at += step) table[linkStart + at] = entry;
      }
      // The next code of this length, counted from the highest bit of a reversed number.
      let bit = 1 << (length - 1);
      while (code & bit) bit >>>= 1;
      code = bit === 0 ? 0 : (code & (bit - 1)) | bit;
    }
  }
  return root;
}

/** Bits of the second table that begins with a code of `length`, of which `remaining` are still to come. */
function secondLevelBits(length: number, root: number, max: number, remaining: number): number {
  let bits = length - root;
  let room = (1 << bits) - remaining;
  while (bits + root < max && room > 0) {
    bits++;
    room = room * 2 - (counts[bits + root] as number);
  }
  return bits;
}

function literalSymbols(): Int32Array {
  const symbols = new Int32Array(288);
  for (let literal = 0; literal < 256; literal++) symbols[literal] = KIND_LITERAL | (literal << 12);
  symbols[256] = KIND_END;
  let base = 3;
  for (let i = 0; i < 28; i++) {
    const extra = i < 8 ? 0 : (i >> 2) - 1;
    symbols[257 + i] = KIND_BASE | (extra << 4) | (base << 12);
    base += 1 << extra;
  }
  symbols[285] = KIND_BASE | (258 << 12);
  symbols[286] = KIND_INVALID;
  symbols[287] = KIND_INVALID;
  return symbols;
}

function distanceSymbols(): Int32Array {
  const symbols = new Int32Array(32).fill(KIND_INVALID);
  let base = 1;
  for (let i = 0; i < 30; i++) {
    const extra = i < 4 ? 0 : (i >> 1) - 1;
    symbols[i] = KIND_BASE | (extra << 4) | (base << 12);
    base += 1 << extra;
  }
  return symbols;
}

export function malformed(what: string): HotpackError {
  return new HotpackError('malformed_pack', `malformed zlib stream: ${what}`);
}
