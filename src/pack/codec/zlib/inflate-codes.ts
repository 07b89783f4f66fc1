/**
 * Decodes the symbols of a block (RFC 1951, 3.2.3): a loop for when input is plenty, one for its last bytes. A symbol that
 * input or output end within is not begun.
 *
 * Input is taken up to 4 bytes at a time into a 32-bit buffer: after a refill at least 24 bits are there, and those above
 * `bits` are true bits of the following bytes, so that the next refill may or them in again.
 */
import type { InflateProgress, InflateState } from './inflate-state.ts';
import { INFLATE_DONE, INFLATE_NEED_INPUT, INFLATE_OUTPUT_FULL } from './inflate-state.ts';
import { KIND_BASE, KIND_END, KIND_LINK, KIND_MASK, malformed } from './inflate-tables.ts';

/** The most input that one turn of the fast loop may look at. */
const FAST_INPUT_BYTES = 12;

/** Symbols while input is plenty. Returns 0 where the careful loop must go on. */
export function decodeFast(state: InflateState): InflateProgress | 0 {
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
export function decodeCarefully(state: InflateState): InflateProgress {
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
