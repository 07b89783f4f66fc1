/**
 * EWAH, git's compression of bitmaps (bitmap-format, "Serialization format for an EWAH bitmap"): the number of bits,
 * the number of 64-bit words that follow, those words, and which of them is the last marker; all big-endian. A marker
 * says in bit 0 which bit a run repeats, in the next 32 bits how many words the run is long, and in the upper 31 how
 * many words follow as they are.
 *
 * A set in memory is a `Uint32Array` with bit p at `words[p >>> 5]`, position p & 31; its length is even, since one
 * 64-bit word is two of them, the lower half first. Decoding needs no set of its own: words are combined into one that
 * is there. `parseEwah` checks a serialized set once, against the most bits that it may have; what it has passed
 * stays within any set of that size.
 */
import { HotpackError } from '../../bytes/error.ts';

const HEAD_BYTES = 8;
const TAIL_BYTES = 4;
const WORD_BYTES = 8;
const LONGEST_RUN = 0xffff_ffff;
const MOST_LITERALS = 0x7fff_ffff;

/** A serialized set in place: its 64-bit words are `[wordsAt, wordsEnd)` of `file`, and it ends at `end`. */
export interface Ewah {
  readonly file: Uint8Array;
  readonly wordsAt: number;
  readonly wordsEnd: number;
  readonly end: number;
}

/** Length in 32-bit words of a set of `bits` bits. */
export function wordsOf(bits: number): number {
  return 2 * Math.ceil(bits / 64);
}

/**
 * The set that is serialized at `at` of `file`. `malformed_pack` where it is cut or where it says something about words that
 * a set of `bits` bits does not have.
 */
export function parseEwah(file: Uint8Array, at: number, bits: number): Ewah {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (at + HEAD_BYTES + TAIL_BYTES > file.length) throw malformedEwah('its head is cut');
  const count = view.getUint32(at + 4);
  const wordsAt = at + HEAD_BYTES;
  const wordsEnd = wordsAt + count * WORD_BYTES;
  if (wordsEnd + TAIL_BYTES > file.length) throw malformedEwah('its words are cut');
  if (view.getUint32(wordsEnd) >= Math.max(count, 1)) throw malformedEwah('its last marker lies beyond its words');
  const most = Math.ceil(bits / 64);
  let covered = 0;
  for (let marker = wordsAt; marker < wordsEnd;) {
    const high = view.getUint32(marker);
    const low = view.getUint32(marker + 4);
    const literals = high >>> 1;
    covered += runOf(high, low) + literals;
    if (covered > most) throw malformedEwah('it has more bits than there are objects');
    marker += (1 + literals) * WORD_BYTES;
    if (marker > wordsEnd) throw malformedEwah('a marker promises words beyond its end');
  }
  return { file, wordsAt, wordsEnd, end: wordsEnd + TAIL_BYTES };
}

/** Adds the members of `ewah` to `words`. */
export function orEwah(ewah: Ewah, words: Uint32Array): void {
  const { file, wordsAt, wordsEnd } = ewah;
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  let to = 0;
  for (let at = wordsAt; at < wordsEnd;) {
    const high = view.getUint32(at);
    const low = view.getUint32(at + 4);
    at += WORD_BYTES;
    const afterRun = to + 2 * runOf(high, low);
    if ((low & 1) === 1) words.fill(LONGEST_RUN, to, afterRun);
    to = afterRun;
    for (let literals = high >>> 1; literals > 0; literals--, at += WORD_BYTES, to += 2) {
      words[to] = (words[to] as number) | view.getUint32(at + 4);
      words[to + 1] = (words[to + 1] as number) | view.getUint32(at);
    }
  }
}

/** Takes the members of `ewah` that are in `words` out of it and adds the others. */
export function xorEwah(ewah: Ewah, words: Uint32Array): void {
  const { file, wordsAt, wordsEnd } = ewah;
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  let to = 0;
  for (let at = wordsAt; at < wordsEnd;) {
    const high = view.getUint32(at);
    const low = view.getUint32(at + 4);
    at += WORD_BYTES;
    const afterRun = to + 2 * runOf(high, low);
    if ((low & 1) === 1) for (let i = to; i < afterRun; i++) words[i] = ~(words[i] as number);
    to = afterRun;
    for (let literals = high >>> 1; literals > 0; literals--, at += WORD_BYTES, to += 2) {
      words[to] = (words[to] as number) ^ view.getUint32(at + 4);
      words[to + 1] = (words[to + 1] as number) ^ view.getUint32(at);
    }
  }
}

/** How many bytes `encodeEwah` makes at most of `words`. */
export function maxEwahBytes(words: Uint32Array): number {
  return HEAD_BYTES + (words.length / 2 + 1) * WORD_BYTES + TAIL_BYTES;
}

/** Serializes `words` into the beginning of `target` (`maxEwahBytes` long) and returns how many bytes that took. */
export function encodeEwah(words: Uint32Array, target: Uint8Array): number {
  const view = new DataView(target.buffer, target.byteOffset, target.byteLength);
  let length = words.length;
  while (length > 0 && words[length - 1] === 0 && words[length - 2] === 0) length -= 2;
  let at = HEAD_BYTES;
  let lastMarker = at;
  for (let from = 0; from < length || at === HEAD_BYTES;) {
    const bit = from < length && words[from] === LONGEST_RUN && words[from + 1] === LONGEST_RUN ? 1 : 0;
    const clean = bit === 1 ? LONGEST_RUN : 0;
    let run = 0;
    while (from < length && run < LONGEST_RUN && words[from] === clean && words[from + 1] === clean) {
      run++;
      from += 2;
    }
    lastMarker = at;
    at += WORD_BYTES;
    let literals = 0;
    while (from < length && literals < MOST_LITERALS) {
      const low = words[from] as number;
      const high = words[from + 1] as number;
      if (low === high && (low === 0 || low === LONGEST_RUN)) break;
      view.setUint32(at, high);
      view.setUint32(at + 4, low);
      at += WORD_BYTES;
      from += 2;
      literals++;
    }
    view.setUint32(lastMarker, ((literals << 1) | (run >>> 31)) >>> 0);
    view.setUint32(lastMarker + 4, ((run << 1) | bit) >>> 0);
  }
  view.setUint32(0, length * 32);
  view.setUint32(4, (at - HEAD_BYTES) / WORD_BYTES);
  view.setUint32(at, (lastMarker - HEAD_BYTES) / WORD_BYTES);
  return at + TAIL_BYTES;
}

/** Words of a marker's run, of its two halves. */
function runOf(high: number, low: number): number {
  return (high & 1) * 0x8000_0000 + (low >>> 1);
}

function malformedEwah(what: string): HotpackError {
  return new HotpackError('malformed_pack', `malformed bitmap: ${what}`);
}
