/**
 * Deltas (gitformat-pack, "Deltified representation"): two little-endian varints, the sizes of base and
 * result, then instructions. A byte with the high bit copies: its low four bits say which offset bytes
 * follow, the next three which size bytes (size 0 means 65,536). A byte 1 to 127 inserts as many bytes that follow
 * it. Byte 0 is reserved. Every bound is checked; whatever breaks one is `malformed_pack`.
 */
import { HotpackError } from '../../bytes/error.ts';
import { NEED_MORE_INPUT } from './entry-header.ts';

export interface DeltaHeader {
  baseSize: number;
  resultSize: number;
}

export function createDeltaHeader(): DeltaHeader {
  return { baseSize: 0, resultSize: 0 };
}

/**
 * Parses the two sizes at `start` of `delta` into `header`. Returns where the instructions begin, counted from
 * `start`, or `NEED_MORE_INPUT` where the input ends first. Eighteen bytes always suffice.
 */
export function parseDeltaHeader(delta: Uint8Array, start: number, end: number, header: DeltaHeader): number {
  let at = start;
  for (let field = 0; field < 2; field++) {
    let value = 0;
    let factor = 1;
    let byte: number;
    do {
      if (at >= end) return NEED_MORE_INPUT;
      byte = delta[at++] as number;
      value += (byte & 0x7f) * factor;
      factor *= 128;
      if (value > Number.MAX_SAFE_INTEGER || factor > 2 ** 63) {
        throw malformedDelta('a size of 2^53 or more');
      }
    } while (byte & 0x80);
    if (field === 0) header.baseSize = value;
    else header.resultSize = value;
  }
  return at - start;
}

const scratchHeader: DeltaHeader = createDeltaHeader();

/** The result of a delta (whole, in memory) on its base. The caller has bounded the result's size. */
export function applyDelta(base: Uint8Array, delta: Uint8Array): Uint8Array {
  const header = scratchHeader;
  const at = parseDeltaHeader(delta, 0, delta.length, header);
  if (at < 0) throw malformedDelta('it ends within its sizes');
  if (header.resultSize > maxResultBytes(delta.length - at)) {
    throw malformedDelta('its result is larger than its instructions can make');
  }
  const target = new Uint8Array(header.resultSize);
  applyDeltaInto(base, delta, { start: 0, end: delta.length }, target);
  return target;
}

/**
 * As `applyDelta`, for the delta at `[range.start, range.end)` of `delta`, into `target`, whose length must be the
 * result's size. `target` must not overlap `base`.
 */
export function applyDeltaInto(
  base: Uint8Array,
  delta: Uint8Array,
  range: { readonly start: number; readonly end: number },
  target: Uint8Array,
): void {
  const end = range.end;
  const header = scratchHeader;
  const headerBytes = parseDeltaHeader(delta, range.start, end, header);
  if (headerBytes < 0) throw malformedDelta('it ends within its sizes');
  if (header.baseSize !== base.length) throw malformedDelta('it is for a base of another size');
  if (header.resultSize !== target.length) throw malformedDelta('its result has another size');
  let at = range.start + headerBytes;
  let out = 0;
  while (at < end) {
    const op = delta[at++] as number;
    if (op & 0x80) {
      let from = 0;
      let size = 0;
      // A byte beyond `end` may be read here but is never used: the check comes below.
      if (op & 0x01) from = delta[at++] as number;
      if (op & 0x02) from |= (delta[at++] as number) << 8;
      if (op & 0x04) from |= (delta[at++] as number) << 16;
      if (op & 0x08) from += (delta[at++] as number) * 0x1000000;
      if (op & 0x10) size = delta[at++] as number;
      if (op & 0x20) size |= (delta[at++] as number) << 8;
      if (op & 0x40) size |= (delta[at++] as number) << 16;
      if (size === 0) size = 0x10000;
      if (at > end) throw malformedDelta('it ends within an instruction');
      if (from + size > base.length) throw malformedDelta('it copies from beyond its base');
      if (out + size > target.length) throw malformedDelta('its result is longer than declared');
      if (size < 48) {
        const stop = from + size;
        while (from < stop) target[out++] = base[from++] as number;
      } else {
        target.set(base.subarray(from, from + size), out);
        out += size;
      }
    } else if (op !== 0) {
      if (at + op > end) throw malformedDelta('it ends within an instruction');
      if (out + op > target.length) throw malformedDelta('its result is longer than declared');
      const stop = at + op;
      while (at < stop) target[out++] = delta[at++] as number;
    } else {
      throw malformedDelta('instruction 0 is reserved');
    }
  }
  if (out !== target.length) throw malformedDelta('its result is shorter than declared');
}

/** An upper bound of what `deltaBytes` of instructions can make: two bytes copy up to 255 * 65,536. */
export function maxResultBytes(deltaBytes: number): number {
  return deltaBytes * 0x800000;
}

export function malformedDelta(what: string): HotpackError {
  return new HotpackError('malformed_pack', `malformed delta: ${what}`);
}
