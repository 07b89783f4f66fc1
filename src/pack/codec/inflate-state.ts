/**
 * The inflater itself (RFC 1950 and 1951), resumable between symbols. `inflateSome` works through the input it was
 * given into the output it was given and stops where either runs out; a step that cannot be finished (a block's
 * header, a symbol with its extra bits) is not begun, so on its return `pos` and the fewer than 8 bits in `hold`
 * are the whole memory of it besides the tables. The caller verifies the Adler-32 (it knows what it did with the output).
 *
 * Input is taken up to 4 bytes at a time into a 32-bit buffer: after a refill at least 24 bits are there, and those above
 * `bits` are true bits of the following bytes, so that the next refill may or them in again.
 */
import {
  buildTable,
  DISTANCE_ROOT_BITS,
  DISTANCE_SYMBOLS,
  DISTANCE_TABLE_ENTRIES,
  KIND_BASE,
  KIND_END,
  KIND_LINK,
  KIND_MASK,
  LENGTH_SYMBOLS,
  LITERAL_ROOT_BITS,
  LITERAL_SYMBOLS,
  LITERAL_TABLE_ENTRIES,
  malformed,
} from './inflate-tables.ts';

export const INFLATE_DONE = 1;
export const INFLATE_NEED_INPUT = -1;
export const INFLATE_OUTPUT_FULL = -2;
export type InflateProgress = typeof INFLATE_DONE | typeof INFLATE_NEED_INPUT | typeof INFLATE_OUTPUT_FULL;

type Step = 'head' | 'block' | 'stored' | 'codes' | 'trailer' | 'done';

const EMPTY = new Uint8Array(0);
const LENGTH_ORDER = Uint8Array.of(16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15);
/** The most input that one turn of the fast loop may look at. */
const FAST_INPUT_BYTES = 12;

const fixed = fixedTables();
const lengths = new Uint8Array(320);
const lengthTable = new Int32Array(128);

/** 13 KiB of tables each: made once and used again. */
export class InflateState {
  input: Uint8Array = EMPTY;
  /** Next byte of input; after a return every whole byte that was not consumed has been given back. */
  pos = 0;
  end = 0;
  output: Uint8Array = EMPTY;
  outPos = 0;
  /** Output before this is not history that a match may refer to. */
  outStart = 0;
  /** The stream's Adler-32, once done. */
  adler = 0;

  hold = 0;
  bits = 0;
  step: Step = 'head';
  final = false;
  storedLeft = 0;
  literals: Int32Array = fixed.literals;
  literalBits = 9;
  distances: Int32Array = fixed.distances;
  distanceBits = 5;
  readonly dynamicLiterals: Int32Array = new Int32Array(LITERAL_TABLE_ENTRIES);
  readonly dynamicDistances: Int32Array = new Int32Array(DISTANCE_TABLE_ENTRIES);

  reset(): void {
    this.hold = 0;
    this.bits = 0;
    this.step = 'head';
    this.final = false;
    this.outPos = 0;
    this.outStart = 0;
  }

  /** Lets go of the caller's arrays. */
  release(): void {
    this.input = EMPTY;
    this.output = EMPTY;
  }
}

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

/** Symbols while input is plenty. Returns 0 where the careful loop must go on. */
function decodeFast(state: InflateState): InflateProgress | 0 {
  const { input, output, literals, distances, outStart } = state;
  const literalMask = (1 << state.literalBits) - 1;
  const literalBits = state.literalBits;
  const distanceMask = (1 << state.distanceBits) - 1;
  const distanceBits = state.distanceBits;
  const inputStop = state.end - FAST_INPUT_BYTES;
  const outEnd = output.length;
  const outputStop = outEnd - 2;
  let { pos, hold, bits, outPos } = state;
  let progress: InflateProgress | 0 = 0;
  while (pos <= inputStop && outPos <= outputStop) {
    hold |=
      ((input[pos] as number) |
        ((input[pos + 1] as number) << 8) |
        ((input[pos + 2] as number) << 16) |
        ((input[pos + 3] as number) << 24)) <<
      bits;
    pos += (31 - bits) >> 3;
    bits |= 24;
    let entry = literals[hold & literalMask] as number;
    if ((entry & KIND_MASK) === 0) {
      hold >>>= entry & 15;
      bits -= entry & 15;
      output[outPos++] = entry >>> 12;
      // At least 14 bits are left: enough for a code of the first level.
      entry = literals[hold & literalMask] as number;
      if ((entry & KIND_MASK) === 0) {
        hold >>>= entry & 15;
        bits -= entry & 15;
        output[outPos++] = entry >>> 12;
        continue;
      }
      hold |=
        ((input[pos] as number) |
          ((input[pos + 1] as number) << 8) |
          ((input[pos + 2] as number) << 16) |
          ((input[pos + 3] as number) << 24)) <<
        bits;
      pos += (31 - bits) >> 3;
      bits |= 24;
    }
    if (entry & KIND_LINK) {
      entry = literals[(entry >>> 12) + ((hold >>> literalBits) & ((1 << ((entry >>> 4) & 15)) - 1))] as number;
      if ((entry & KIND_MASK) === 0) {
        hold >>>= entry & 15;
        bits -= entry & 15;
        output[outPos++] = entry >>> 12;
        continue;
      }
    }
    if ((entry & KIND_BASE) === 0) {
      if ((entry & KIND_MASK) !== KIND_END) throw malformed('an unused code');
      hold >>>= entry & 15;
      bits -= entry & 15;
      progress = INFLATE_DONE;
      break;
    }
    // To be able to go back to before this symbol where the output ends within it.
    const symbolPos = pos;
    const symbolHold = hold;
    const symbolBits = bits;
    const lengthExtra = (entry >>> 4) & 15;
    hold >>>= entry & 15;
    const length = (entry >>> 12) + (hold & ((1 << lengthExtra) - 1));
    hold >>>= lengthExtra;
    bits -= (entry & 15) + lengthExtra;
    hold |=
      ((input[pos] as number) |
        ((input[pos + 1] as number) << 8) |
        ((input[pos + 2] as number) << 16) |
        ((input[pos + 3] as number) << 24)) <<
      bits;
    pos += (31 - bits) >> 3;
    bits |= 24;
    entry = distances[hold & distanceMask] as number;
    if (entry & KIND_LINK) {
      entry = distances[(entry >>> 12) + ((hold >>> distanceBits) & ((1 << ((entry >>> 4) & 15)) - 1))] as number;
    }
    if ((entry & KIND_BASE) === 0) throw malformed('an unused distance code');
    const distanceExtra = (entry >>> 4) & 15;
    hold >>>= entry & 15;
    bits -= entry & 15;
    if (bits < distanceExtra) {
      hold |= ((input[pos] as number) | ((input[pos + 1] as number) << 8) | ((input[pos + 2] as number) << 16)) << bits;
      pos += (31 - bits) >> 3;
      bits |= 24;
    }
    const distance = (entry >>> 12) + (hold & ((1 << distanceExtra) - 1));
    hold >>>= distanceExtra;
    bits -= distanceExtra;
    let from = outPos - distance;
    if (from < outStart) throw malformed('a distance beyond the beginning');
    const stop = outPos + length;
    if (stop > outEnd) {
      pos = symbolPos;
      hold = symbolHold;
      bits = symbolBits;
      progress = INFLATE_OUTPUT_FULL;
      break;
    }
    if (length > 48 && distance >= length) {
      output.copyWithin(outPos, from, from + length);
      outPos = stop;
    } else {
      while (outPos < stop) output[outPos++] = output[from++] as number;
    }
  }
  state.pos = pos;
  state.hold = hold;
  state.bits = bits;
  state.outPos = outPos;
  return progress;
}

/** Symbols where input or output may end at any moment. */
function decodeCarefully(state: InflateState): InflateProgress {
  const { input, end, output, literals, distances, outStart } = state;
  const outEnd = output.length;
  let { pos, hold, bits, outPos } = state;
  for (;;) {
    const symbolPos = pos;
    const symbolHold = hold;
    const symbolBits = bits;
    const symbolOutPos = outPos;
    let progress: InflateProgress | 0 = 0;
    while (bits < 24 && pos < end) {
      hold |= (input[pos++] as number) << bits;
      bits += 8;
    }
    let entry = literals[hold & ((1 << state.literalBits) - 1)] as number;
    if (entry & KIND_LINK && bits >= state.literalBits) {
      entry = literals[(entry >>> 12) + ((hold >>> state.literalBits) & ((1 << ((entry >>> 4) & 15)) - 1))] as number;
    }
    const lengthExtra = (entry >>> 4) & 15;
    if (entry & KIND_LINK || (entry & 15) + (entry & KIND_BASE ? lengthExtra : 0) > bits) {
      progress = INFLATE_NEED_INPUT;
    } else {
      hold >>>= entry & 15;
      bits -= entry & 15;
      if ((entry & KIND_MASK) === 0) {
        if (outPos < outEnd) output[outPos++] = entry >>> 12;
        else progress = INFLATE_OUTPUT_FULL;
      } else if ((entry & KIND_MASK) === KIND_END) {
        progress = INFLATE_DONE;
      } else if (entry & KIND_BASE) {
        const length = (entry >>> 12) + (hold & ((1 << lengthExtra) - 1));
        hold >>>= lengthExtra;
        bits -= lengthExtra;
        while (bits < 24 && pos < end) {
          hold |= (input[pos++] as number) << bits;
          bits += 8;
        }
        entry = distances[hold & ((1 << state.distanceBits) - 1)] as number;
        if (entry & KIND_LINK && bits >= state.distanceBits) {
          entry = distances[
            (entry >>> 12) + ((hold >>> state.distanceBits) & ((1 << ((entry >>> 4) & 15)) - 1))
          ] as number;
        }
        const distanceExtra = (entry >>> 4) & 15;
        if (entry & KIND_LINK || (entry & 15) > bits) {
          progress = INFLATE_NEED_INPUT;
        } else if ((entry & KIND_BASE) === 0) {
          throw malformed('an unused distance code');
        } else {
          hold >>>= entry & 15;
          bits -= entry & 15;
          while (bits < 16 && pos < end) {
            hold |= (input[pos++] as number) << bits;
            bits += 8;
          }
          if (distanceExtra > bits) {
            progress = INFLATE_NEED_INPUT;
          } else {
            let from = outPos - (entry >>> 12) - (hold & ((1 << distanceExtra) - 1));
            hold >>>= distanceExtra;
            bits -= distanceExtra;
            if (from < outStart) throw malformed('a distance beyond the beginning');
            const stop = outPos + length;
            if (stop > outEnd) progress = INFLATE_OUTPUT_FULL;
            else while (outPos < stop) output[outPos++] = output[from++] as number;
          }
        }
      } else {
        throw malformed('an unused code');
      }
    }
    if (progress !== 0) {
      const undone = progress !== INFLATE_DONE;
      state.pos = undone ? symbolPos : pos;
      state.hold = undone ? symbolHold : hold;
      state.bits = undone ? symbolBits : bits;
      state.outPos = undone ? symbolOutPos : outPos;
      return progress;
    }
  }
}

function fixedTables(): { literals: Int32Array; distances: Int32Array } {
  const codeLengths = new Uint8Array(320);
  codeLengths.fill(8, 0, 144).fill(9, 144, 256).fill(7, 256, 280).fill(8, 280, 288);
  codeLengths.fill(5, 288, 320);
  const literals = new Int32Array(512);
  const distances = new Int32Array(32);
  const input = { lengths: codeLengths, allowSingle: false };
  buildTable({ ...input, from: 0, count: 288, symbols: LITERAL_SYMBOLS }, literals, 9);
  buildTable({ ...input, from: 288, count: 32, symbols: DISTANCE_SYMBOLS }, distances, 5);
  return { literals, distances };
}
