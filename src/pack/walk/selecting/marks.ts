/**
 * What a selection notes about each object, one byte an object (bits of a Uint8Array by object number).
 */
/** The client has it: neither sent nor entered. */
export const UNINTERESTING = 1;
/** A commit that was put into the queue, a tree that was entered, a blob that was decided on. */
export const SEEN = 2;
/** A commit whose parents were looked at. */
export const ADDED = 4;
/** A commit that waits in the queue and is not uninteresting yet. */
export const QUEUED = 8;
/** To be sent. */
export const SELECTED = 16;
/** A tree or blob found in a tree of the client's boundary: a base that the client has. */
export const CLIENT_BASE = 32;

const FOUR_SELECTED = SELECTED * 0x01010101;

/** The SELECTED ones, ascending; `marks` as `createMarks` made them. Few of many are found by a look at four at a time. */
export function selectedOf(marks: Uint8Array): Uint32Array {
  const fours = new Uint32Array(marks.buffer, 0, marks.buffer.byteLength / 4);
  let count = 0;
  for (const marksOfFour of fours) {
    if (marksOfFour !== 0) count += Math.imul((marksOfFour & FOUR_SELECTED) / SELECTED, 0x01010101) >>> 24;
  }
  const selected = new Uint32Array(count);
  count = 0;
  for (let at = 0; at < fours.length; at++) {
    if (fours[at] === 0) continue;
    for (let object = at * 4; object < at * 4 + 4; object++) {
      if (((marks[object] as number) & SELECTED) !== 0) selected[count++] = object;
    }
  }
  return selected;
}

/** No marks yet, for so many objects. */
export function createMarks(objects: number): Uint8Array {
  return new Uint8Array(new ArrayBuffer((objects + 3) & ~3), 0, objects);
}
