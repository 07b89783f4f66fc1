/**
 * Inflates a zlib stream of any length piece by piece and says where it ends. Memory: an output buffer of 96 KiB (of
 * which 32 KiB are history) and tables; between pieces at most the bytes of a step that could not be finished
 * (the header of a dynamic block: under 600).
 */
import { adler32 } from './zlib/adler32.ts';
import { INFLATE_DONE, INFLATE_NEED_INPUT, InflateState } from './zlib/inflate-state.ts';
import { inflateSome } from './zlib/inflate-some.ts';
import { malformed } from './zlib/inflate-tables.ts';

const HISTORY_BYTES = 32 * 1024;
const OUTPUT_BYTES = 96 * 1024;

export interface InflateStream {
  /**
   * Goes on with `input[start, end)`. What it makes is handed to `sink` in pieces that are valid only during the call.
   * Returns how many bytes it took: all of them until `done`, then up to the end of the Adler-32 (verified).
   * Throws `malformed_pack` on bad data and where more than `size` bytes are made, or, when done, fewer.
   */
  push(input: Uint8Array, start: number, end: number, sink: (piece: Uint8Array) => void): number;
  readonly done: boolean;
  /** Bytes made until now. */
  readonly outputBytes: number;
}

/** `size`: how many bytes the stream must make, however large. */
export function createInflateStream(size: number): InflateStream {
  const state = new InflateState();
  const output = new Uint8Array(OUTPUT_BYTES);
  let carry = new Uint8Array(0);
  let made = 0;
  let adler = 1;
  let done = false;

  /** Runs until the input is used up or the stream has ended; returns where in `input` it stopped. */
  const run = (input: Uint8Array, start: number, end: number, sink: (piece: Uint8Array) => void): number => {
    state.input = input;
    state.pos = start;
    state.end = end;
    state.output = output;
    for (;;) {
      const from = state.outPos;
      const progress = inflateSome(state);
      if (state.outPos > from) {
        made += state.outPos - from;
        if (made > size) throw malformed('it is longer than declared');
        adler = adler32(output, from, state.outPos, adler);
        sink(output.subarray(from, state.outPos));
        if (state.outPos > HISTORY_BYTES) {
          output.copyWithin(0, state.outPos - HISTORY_BYTES, state.outPos);
          state.outPos = HISTORY_BYTES;
        }
      }
      if (progress === INFLATE_DONE) {
        if (made !== size) throw malformed('it is shorter than declared');
        if (adler !== state.adler) throw malformed('its checksum does not match');
        done = true;
      }
      if (progress === INFLATE_DONE || progress === INFLATE_NEED_INPUT) {
        const stopped = state.pos;
        state.release();
        return stopped;
      }
    }
  };

  return {
    get done(): boolean {
      return done;
    },
    get outputBytes(): number {
      return made;
    },
    push(input, start, end, sink): number {
      if (done) return 0;
      let at = start;
      // A step that was cut is completed from a copy that begins with what is left of it.
      while (carry.length > 0 && at < end) {
        const more = Math.min(end - at, 1024);
        const joined = new Uint8Array(carry.length + more);
        joined.set(carry);
        joined.set(input.subarray(at, at + more), carry.length);
        const stopped = run(joined, 0, joined.length, sink);
        if (done || stopped >= carry.length) {
          at += stopped - carry.length;
          carry = new Uint8Array(0);
        } else {
          carry = joined.slice(stopped);
          at += more;
        }
        if (done) return at - start;
      }
      if (at < end) {
        at = run(input, at, end, sink);
        if (!done && at < end) carry = input.slice(at, end);
      }
      return done ? at - start : end - start;
    },
  };
}
