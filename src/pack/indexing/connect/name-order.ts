/** Entries in the order of their names; entries of one name in the order of the pack, as git leaves them. */
import { compareOidBytes, OID_BYTES } from '../../../bytes/oid.ts';

/** Above this a bucket is sorted, not inserted. */
const INSERTION_ENTRIES = 48;

/** Sorts the `count` names of `names`: by their first 16 bits (counting), then each bucket. 4 bytes an entry and 256 KiB. */
export function sortByName(names: Uint8Array, count: number): Uint32Array {
  const starts = new Uint32Array(0x10001);
  for (let entry = 0; entry < count; entry++) {
    const at = entry * OID_BYTES;
    const bucket = ((names[at] as number) << 8) | (names[at + 1] as number);
    starts[bucket + 1] = (starts[bucket + 1] as number) + 1;
  }
  for (let bucket = 0; bucket < 0x10000; bucket++) {
    starts[bucket + 1] = (starts[bucket + 1] as number) + (starts[bucket] as number);
  }
  const order = new Uint32Array(count);
  for (let entry = 0; entry < count; entry++) {
    const at = entry * OID_BYTES;
    const bucket = ((names[at] as number) << 8) | (names[at + 1] as number);
    const place = starts[bucket] as number;
    starts[bucket] = place + 1;
    order[place] = entry;
  }
  // Now each `starts` holds its bucket's end.
  const compare = (left: number, right: number): number =>
    compareOidBytes(names, left * OID_BYTES, names, right * OID_BYTES) || left - right;
  let from = 0;
  for (let bucket = 0; bucket < 0x10000; bucket++) {
    const to = starts[bucket] as number;
    if (to - from > INSERTION_ENTRIES) {
      order.subarray(from, to).sort(compare);
    } else {
      for (let i = from + 1; i < to; i++) {
        const entry = order[i] as number;
        let at = i;
        while (at > from && compare(order[at - 1] as number, entry) > 0) {
          order[at] = order[at - 1] as number;
          at--;
        }
        order[at] = entry;
      }
    }
    from = to;
  }
  return order;
}

/** True where the 20 bytes at `at` of `table` are among `names`, whose order is `order`. */
export function containsName(names: Uint8Array, order: Uint32Array, table: Uint8Array, at: number): boolean {
  let low = 0;
  let high = order.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const found = compareOidBytes(names, (order[middle] as number) * OID_BYTES, table, at);
    if (found === 0) return true;
    if (found < 0) low = middle + 1;
    else high = middle;
  }
  return false;
}
