/**
 * Inflates one zlib stream that is all in memory, and says how long it was: a pack says where an entry begins and how
 * large it is inflated, never where it ends, and node:zlib tells how much it consumed only through an option that
 * leaks on one runtime. Synchronous; allocates nothing but what `inflateWhole` returns.
 */
import { inflateSync } from 'node:zlib';
import { HotpackError } from '../../bytes/error.ts';
import { adler32 } from './zlib/adler32.ts';
import { NEED_MORE_INPUT } from './entry-header.ts';
import { INFLATE_DONE, INFLATE_OUTPUT_FULL, InflateState } from './zlib/inflate-state.ts';
import { inflateSome } from './zlib/inflate-some.ts';
import { malformed } from './zlib/inflate-tables.ts';

/**
 * From this inflated size on node:zlib is used. Measured on Node with source text, its call included: at 300 bytes both cost the
 * same, at 2 KiB ours 1.7 times as much, at 4 KiB 2, at 16 KiB 2.6, from 48 KiB on 3 and more. A call leaves a handle with its
 * window to the garbage collector, which such a measurement does not see: hence not below 4 KiB.
 */
export const NATIVE_BYTES: number = 4 * 1024;

/** DEFLATE makes at most 258 bytes of two bits. */
const MAX_RATIO = 1032;

const state = new InflateState();

/**
 * Inflates the zlib stream at `[start, end)` of `input` into all of `output`. Returns how many bytes of input it took,
 * header and Adler-32 (verified) included, or `NEED_MORE_INPUT`: then call again from the start with more. Throws
 * `malformed_pack` on bad data and where the stream does not make exactly `output.length` bytes.
 */
export function inflateInto(input: Uint8Array, start: number, end: number, output: Uint8Array): number {
  state.reset();
  state.input = input;
  state.pos = start;
  state.end = end;
  state.output = output;
  let progress: number;
  try {
    progress = inflateSome(state);
  } finally {
    state.release();
  }
  if (progress === INFLATE_OUTPUT_FULL) throw malformed('it is longer than declared');
  if (progress !== INFLATE_DONE) return NEED_MORE_INPUT;
  if (state.outPos !== output.length) throw malformed('it is shorter than declared');
  if (adler32(output, 0, output.length) !== state.adler) throw malformed('its checksum does not match');
  return state.pos - start;
}

/**
 * Inflates a stream that lies whole within `[start, end)` of `input` (bytes after it are not looked at) to `size` bytes.
 * The caller has bounded `size`. A stream that is cut is `malformed_pack`.
 */
export function inflateWhole(input: Uint8Array, start: number, end: number, size: number): Uint8Array {
  if (size > maxInflatedBytes(end - start)) throw malformed('it is shorter than declared');
  if (size < NATIVE_BYTES) {
    const output = new Uint8Array(size);
    if (inflateInto(input, start, end, output) < 0) throw malformed('it is cut');
    return output;
  }
  let output: Uint8Array;
  try {
    // One byte more than needed, so that zlib is not asked for a second buffer. workerd holds the limit against the buffers
    // that it sets aside, which are up to twice as long as what is made.
    output = inflateSync(input.subarray(start, end), { chunkSize: size + 1, maxOutputLength: 2 * (size + 1) });
  } catch (cause) {
    throw new HotpackError('malformed_pack', 'malformed zlib stream', { cause });
  }
  if (output.length !== size) throw malformed('its length is not as declared');
  return output;
}

/** No stream of `inputBytes` inflates to more: the bound to check a declared size against before allocating it. */
export function maxInflatedBytes(inputBytes: number): number {
  return inputBytes * MAX_RATIO;
}
