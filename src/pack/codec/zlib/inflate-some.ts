/**
 * The inflater itself (RFC 1950 and 1951), resumable between symbols. `inflateSome` works through the input it was
 * given into the output it was given and stops where either runs out; a step that cannot be finished (a block's
 * header, a symbol with its extra bits) is not begun, so on its return `pos` and the fewer than 8 bits in `hold`
 * are the whole memory of it besides the tables. The caller verifies the Adler-32 (it knows what it did with the output).
 */
import { decodeCarefully, decodeFast } from './inflate-codes.ts';
import type { InflateProgress, InflateState } from './inflate-state.ts';
import { fixed, INFLATE_DONE, INFLATE_NEED_INPUT, INFLATE_OUTPUT_FULL } from './inflate-state.ts';
import {
  buildTable,
  DISTANCE_ROOT_BITS,
  DISTANCE_SYMBOLS,
  KIND_MASK,
  LENGTH_SYMBOLS,
  LITERAL_ROOT_BITS,
  LITERAL_SYMBOLS,
  malformed,
} from './inflate-tables.ts';

const LENGTH_ORDER = Uint8Array.of(16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15);
const lengths = new Uint8Array(320);
const lengthTable = new Int32Array(128);

/** Goes on until the stream ends, the input does, or the output is full. Throws `malformed_pack`. */
export function inflateSome(state: InflateState): InflateProgress {
  for (;;) {
    switch (state.step) {
      case 'head': {
        if (!need(state, 16)) return giveBack(state, INFLATE_NEED_INPUT);
        const head = take(state, 16);
        if ((head & 0x0f) !== 8 || (head & 0xf0) > 0x70) throw malformed('not DEFLATE in 32 KiB');
        if ((((head & 0xff) << 8) | (head >>> 8)) % 31 !== 0) throw malformed('a bad header check');
        if (head & 0x2000) throw malformed('a preset dictionary');
        state.step = 'block';
        break;
      }
      case 'block': {
        if (!beginBlock(state)) return giveBack(state, INFLATE_NEED_INPUT);
        break;
      }
      case 'stored': {
        const progress = copyStored(state);
        if (progress !== INFLATE_DONE) return progress;
        state.step = state.final ? 'trailer' : 'block';
        break;
      }
      case 'codes': {
        let progress = decodeFast(state);
        if (progress === 0) progress = decodeCarefully(state);
        if (progress !== INFLATE_DONE) return giveBack(state, progress);
        state.step = state.final ? 'trailer' : 'block';
        break;
      }
      case 'trailer': {
        giveBack(state, INFLATE_DONE);
        const { input, pos } = state;
        if (pos + 4 > state.end) return INFLATE_NEED_INPUT;
        state.bits = 0;
        state.hold = 0;
        state.adler =
          (((input[pos] as number) << 24) |
            ((input[pos + 1] as number) << 16) |
            ((input[pos + 2] as number) << 8) |
            (input[pos + 3] as number)) >>>
          0;
        state.pos = pos + 4;
        state.step = 'done';
        return INFLATE_DONE;
      }
      case 'done':
        return INFLATE_DONE;
    }
  }
}

/** Loads bytes until `count` (at most 24) bits are there. */
function need(state: InflateState, count: number): boolean {
  while (state.bits < count) {
    if (state.pos >= state.end) return false;
    state.hold |= (state.input[state.pos++] as number) << state.bits;
    state.bits += 8;
  }
  return true;
}

function take(state: InflateState, count: number): number {
  const value = state.hold & ((1 << count) - 1);
  state.hold >>>= count;
  state.bits -= count;
  return value;
}

/** Gives whole bytes in the bit buffer back to the input, so that another input may follow. */
function giveBack(state: InflateState, progress: InflateProgress): InflateProgress {
  state.pos -= state.bits >>> 3;
  state.bits &= 7;
  state.hold &= (1 << state.bits) - 1;
  return progress;
}

/** Parses a block's header with its tables; false (and as if never called) where the input ends within. */
function beginBlock(state: InflateState): boolean {
  const { pos, hold, bits } = state;
  if (need(state, 3)) {
    const final = take(state, 1) === 1;
    const kind = take(state, 2);
    let whole = true;
    if (kind === 0) {
      giveBack(state, INFLATE_DONE);
      const { input, pos: at } = state;
      whole = at + 4 <= state.end;
      if (whole) {
        const length = (input[at] as number) | ((input[at + 1] as number) << 8);
        const check = (input[at + 2] as number) | ((input[at + 3] as number) << 8);
        if (length !== (~check & 0xffff)) throw malformed('a stored block with a wrong length');
        state.pos = at + 4;
        state.bits = 0;
        state.hold = 0;
        state.storedLeft = length;
        state.step = 'stored';
      }
    } else if (kind === 1) {
      state.literals = fixed.literals;
      state.literalBits = 9;
      state.distances = fixed.distances;
      state.distanceBits = 5;
      state.step = 'codes';
    } else if (kind === 2) {
      whole = readDynamicTables(state);
      if (whole) state.step = 'codes';
    } else {
      throw malformed('a block of unknown kind');
    }
    if (whole) {
      state.final = final;
      return true;
    }
  }
  state.pos = pos;
  state.hold = hold;
  state.bits = bits;
  return false;
}

function readDynamicTables(state: InflateState): boolean {
  if (!need(state, 14)) return false;
  const literalCount = take(state, 5) + 257;
  const distanceCount = take(state, 5) + 1;
  const lengthCount = take(state, 4) + 4;
  if (literalCount > 286 || distanceCount > 30) throw malformed('too many codes');
  lengths.fill(0, 0, 19);
  for (let i = 0; i < lengthCount; i++) {
    if (!need(state, 3)) return false;
    lengths[LENGTH_ORDER[i] as number] = take(state, 3);
  }
  const root = buildTable({ lengths, from: 0, count: 19, symbols: LENGTH_SYMBOLS, allowSingle: false }, lengthTable, 7);
  const rootMask = (1 << root) - 1;
  const total = literalCount + distanceCount;
  const { input, end } = state;
  let { pos, hold, bits } = state;
  let at = 0;
  while (at < total) {
    // A code of at most 7 bits with at most 7 extra ones.
    while (bits < 14 && pos < end) {
      hold |= (input[pos++] as number) << bits;
      bits += 8;
    }
    const entry = lengthTable[hold & rootMask] as number;
    const codeBits = entry & 15;
    if (codeBits > bits) return false;
    if (entry & KIND_MASK) throw malformed('an unused code');
    const symbol = entry >>> 12;
    if (symbol < 16) {
      hold >>>= codeBits;
      bits -= codeBits;
      lengths[at++] = symbol;
      continue;
    }
    const extra = symbol === 16 ? 2 : symbol === 17 ? 3 : 7;
    if (codeBits + extra > bits) return false;
    hold >>>= codeBits;
    const repeat = (symbol === 18 ? 11 : 3) + (hold & ((1 << extra) - 1));
    hold >>>= extra;
    bits -= codeBits + extra;
    if (at + repeat > total) throw malformed('more code lengths than codes');
    if (symbol === 16 && at === 0) throw malformed('a repeat of nothing');
    const value = symbol === 16 ? (lengths[at - 1] as number) : 0;
    for (const stop = at + repeat; at < stop; at++) lengths[at] = value;
  }
  state.pos = pos;
  state.hold = hold;
  state.bits = bits;
  if (lengths[256] === 0) throw malformed('no code for the end of a block');
  state.literals = state.dynamicLiterals;
  state.literalBits = buildTable(
    { lengths, from: 0, count: literalCount, symbols: LITERAL_SYMBOLS, allowSingle: true },
    state.dynamicLiterals,
    LITERAL_ROOT_BITS,
  );
  state.distances = state.dynamicDistances;
  state.distanceBits = buildTable(
    { lengths, from: literalCount, count: distanceCount, symbols: DISTANCE_SYMBOLS, allowSingle: true },
    state.dynamicDistances,
    DISTANCE_ROOT_BITS,
  );
  return true;
}

function copyStored(state: InflateState): InflateProgress {
  const bytes = Math.min(state.storedLeft, state.end - state.pos, state.output.length - state.outPos);
  state.output.set(state.input.subarray(state.pos, state.pos + bytes), state.outPos);
  state.pos += bytes;
  state.outPos += bytes;
  state.storedLeft -= bytes;
  if (state.storedLeft === 0) return INFLATE_DONE;
  return state.pos === state.end ? INFLATE_NEED_INPUT : INFLATE_OUTPUT_FULL;
}
