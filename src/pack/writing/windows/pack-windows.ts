/**
 * Selected entries of one pack, in the order of their offsets, cut into windows that are each read at once: whole entries
 * up to 1 MiB together, with holes of up to 64 KiB read along (a further request costs more than such a hole). An
 * entry longer than a window is a window of its own.
 */
/** 1 MiB, less what makes it a whole number of full side-band packets. */
export const WINDOW_BYTES: number = 16 * 65_515;
const MAX_HOLE_BYTES = 64 * 1024;

/** Bytes `[from, to)` of a pack. */
export interface ByteRange {
  readonly from: number;
  readonly to: number;
}

/** Entries `[first, last)` of the selected ones lie in these bytes. */
export interface PackWindow extends ByteRange {
  readonly first: number;
  readonly last: number;
}

/** `starts`: where the pack's entries begin, by position, and its trailer; `positions`: those that are selected, ascending. */
export function* planWindows(
  starts: ArrayLike<number>,
  positions: Uint32Array,
): Generator<PackWindow, void, undefined> {
  for (let first = 0; first < positions.length;) {
    const window = windowFrom(starts, positions, first);
    yield window;
    first = window.last;
  }
}

function windowFrom(starts: ArrayLike<number>, positions: Uint32Array, first: number): PackWindow {
  const from = starts[positions[first] as number] as number;
  let to = starts[(positions[first] as number) + 1] as number;
  let last = first + 1;
  while (last < positions.length) {
    const position = positions[last] as number;
    if ((starts[position] as number) - to > MAX_HOLE_BYTES) break;
    const end = starts[position + 1] as number;
    if (end - from > WINDOW_BYTES) break;
    to = end;
    last++;
  }
  return { from, to, first, last };
}

/** `[from, to)` in windows, wherever entries begin. */
export function* cutWindows(from: number, to: number): Generator<ByteRange, void, undefined> {
  for (let at = from; at < to; at += WINDOW_BYTES) yield { from: at, to: Math.min(to, at + WINDOW_BYTES) };
}
