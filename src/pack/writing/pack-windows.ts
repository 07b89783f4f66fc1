/**
 * Selected entries of one pack, in the order of their offsets, cut into windows that are each read at once: whole entries
 * up to 1 MiB together, with holes of up to 64 KiB read along (a further request costs more than such a hole). An
 * entry longer than a window is a window of its own.
 */
import type { PackedObjects } from '../reading/packed-objects.ts';

/** 1 MiB, less what makes it a whole number of full side-band packets. */
export const WINDOW_BYTES: number = 16 * 65_515;
const MAX_HOLE_BYTES = 64 * 1024;

/** Bytes `[from, to)` of a pack. */
export interface ByteRange {
  readonly from: number;
  readonly to: number;
}

/** Entries `[first, last)` of the ordered objects lie in these bytes. */
export interface PackWindow extends ByteRange {
  readonly first: number;
  readonly last: number;
}

export function* planWindows(
  store: Pick<PackedObjects, 'offsetOf' | 'entryEnd'>,
  ordered: Uint32Array,
): Generator<PackWindow, void, undefined> {
  let first = 0;
  while (first < ordered.length) {
    const from = store.offsetOf(ordered[first] as number);
    let to = store.entryEnd(ordered[first] as number);
    let last = first + 1;
    while (last < ordered.length) {
      const object = ordered[last] as number;
      if (store.offsetOf(object) - to > MAX_HOLE_BYTES) break;
      const end = store.entryEnd(object);
      if (end - from > WINDOW_BYTES) break;
      to = end;
      last++;
    }
    yield { from, to, first, last };
    first = last;
  }
}

/** `[from, to)` in windows, wherever entries begin. */
export function* cutWindows(from: number, to: number): Generator<ByteRange, void, undefined> {
  for (let at = from; at < to; at += WINDOW_BYTES) yield { from: at, to: Math.min(to, at + WINDOW_BYTES) };
}
