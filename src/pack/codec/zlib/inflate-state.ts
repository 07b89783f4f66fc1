/**
 * What an inflater remembers between calls, and the tables of fixed blocks (RFC 1951, 3.2.6), which are made once.
 */
import {
  buildTable,
  DISTANCE_SYMBOLS,
  DISTANCE_TABLE_ENTRIES,
  LITERAL_SYMBOLS,
  LITERAL_TABLE_ENTRIES,
} from './inflate-tables.ts';

export const INFLATE_DONE = 1;
export const INFLATE_NEED_INPUT = -1;
export const INFLATE_OUTPUT_FULL = -2;
export type InflateProgress = typeof INFLATE_DONE | typeof INFLATE_NEED_INPUT | typeof INFLATE_OUTPUT_FULL;

type Step = 'head' | 'block' | 'stored' | 'codes' | 'trailer' | 'done';

const EMPTY = new Uint8Array(0);

export const fixed: { readonly literals: Int32Array; readonly distances: Int32Array } = fixedTables();

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
