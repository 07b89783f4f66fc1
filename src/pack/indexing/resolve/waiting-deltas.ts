/**
 * Ref-deltas whose base is not known as an entry yet, found by the base's name: chains in buckets. A waiting delta's own
 * slot of `table.names` holds its base's name and its `nextSibling` the chain, so this costs 4 bytes or less an entry.
 * Buckets are chosen by keyed fingerprints: no pack can be made whose deltas all fall into one unless they name one base.
 */
import { compareOidBytes, OID_BYTES } from '../../../bytes/oid.ts';
import { OBJ_REF_DELTA } from '../../codec/object-type.ts';
import type { EntryTable } from '../entry-table.ts';
import { NONE } from '../entry-table.ts';
import { fingerprint, print } from '../connect/fingerprint.ts';

export class WaitingDeltas {
  private readonly table: EntryTable;
  private readonly buckets: Int32Array;
  private readonly mask: number;
  waiting = 0;

  /** Collects every ref-delta of `table`; `refDeltas` is their number. */
  constructor(table: EntryTable, refDeltas: number) {
    this.table = table;
    const size = 2 ** Math.floor(Math.log2(Math.max(1, refDeltas)));
    this.buckets = new Int32Array(size).fill(NONE);
    this.mask = size - 1;
    if (refDeltas === 0) return;
    for (let entry = table.count - 1; entry >= 0; entry--) {
      if (table.types[entry] !== OBJ_REF_DELTA) continue;
      const bucket = this.bucketOf(entry);
      table.nextSibling[entry] = this.buckets[bucket] as number;
      this.buckets[bucket] = entry;
      this.waiting++;
    }
  }

  /** Makes the deltas that wait for the name of `base` its children. Call it once `base` has its name. */
  attachTo(base: number): void {
    if (this.waiting === 0) return;
    const { names, nextSibling } = this.table;
    const bucket = this.bucketOf(base);
    let before = NONE;
    let entry = this.buckets[bucket] as number;
    while (entry !== NONE) {
      const next = nextSibling[entry] as number;
      if (compareOidBytes(names, entry * OID_BYTES, names, base * OID_BYTES) === 0) {
        if (before === NONE) this.buckets[bucket] = next;
        else nextSibling[before] = next;
        this.table.addChild(base, entry);
        this.waiting--;
      } else {
        before = entry;
      }
      entry = next;
    }
  }

  private bucketOf(entry: number): number {
    fingerprint(this.table.names, entry * OID_BYTES);
    return print.low & this.mask;
  }
}
