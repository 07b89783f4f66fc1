/**
 * What is known of every entry of a pack that is being indexed, by entry number (the order of the pack), as
 * struct of arrays: 45 bytes an entry. Capacity grows with the entries that were really seen (each takes 9 bytes of pack
 * or more), never with what a header promises, and stops exactly at the promised count.
 */
import { OID_BYTES } from '../../bytes/oid.ts';

/** No entry: end of a list of children, or no parent. */
export const NONE = -1;

export class EntryTable {
  count = 0;
  private capacity = 0;
  private limit: number;

  /** Where the entry begins in the pack, in bytes. */
  offsets: Float64Array = new Float64Array(0);
  /** CRC-32 of the entry's raw bytes. */
  crcs: Uint32Array = new Uint32Array(0);
  /** Type as the entry's header has it: 1 to 4, 6, 7. */
  types: Uint8Array = new Uint8Array(0);
  /** The object's name, 20 bytes; of a ref-delta that is not resolved yet the name of its base; of another such delta zeroes. */
  names: Uint8Array = new Uint8Array(0);
  /** Of a delta whose base is a known entry that entry, else `NONE`. */
  parents: Int32Array = new Int32Array(0);
  /** First of the deltas on this entry, or `NONE`. */
  firstChild: Int32Array = new Int32Array(0);
  /** Next delta on the same base; of a waiting ref-delta the next one in its bucket. Or `NONE`. */
  nextSibling: Int32Array = new Int32Array(0);

  /** `limit`: the header's count. */
  constructor(limit: number) {
    this.limit = limit;
  }

  add(type: number, offset: number): number {
    if (this.count === this.capacity) this.grow();
    const entry = this.count++;
    this.types[entry] = type;
    this.offsets[entry] = offset;
    return entry;
  }

  /** Lets `more` entries follow those that the header counts (bases that complete a thin pack). */
  extendLimit(more: number): void {
    this.limit += more;
  }

  addChild(parent: number, child: number): void {
    this.parents[child] = parent;
    this.nextSibling[child] = this.firstChild[parent] as number;
    this.firstChild[parent] = child;
  }

  /** The entry that begins at `offset`, or `NONE`. */
  entryAt(offset: number): number {
    const { offsets } = this;
    let low = 0;
    let high = this.count - 1;
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const found = offsets[middle] as number;
      if (found === offset) return middle;
      if (found < offset) low = middle + 1;
      else high = middle - 1;
    }
    return NONE;
  }

  /** Drops what only resolving deltas needs. */
  releaseLinks(): void {
    this.parents = new Int32Array(0);
    this.firstChild = new Int32Array(0);
    this.nextSibling = new Int32Array(0);
  }

  private grow(): void {
    const wanted = Math.max(1024, this.capacity * 2);
    const capacity = Math.min(wanted, Math.max(this.limit, this.capacity + 1));
    this.offsets = enlarged(this.offsets, new Float64Array(capacity));
    this.crcs = enlarged(this.crcs, new Uint32Array(capacity));
    this.types = enlarged(this.types, new Uint8Array(capacity));
    this.names = enlarged(this.names, new Uint8Array(capacity * OID_BYTES));
    this.parents = enlarged(this.parents, new Int32Array(capacity).fill(NONE));
    this.firstChild = enlarged(this.firstChild, new Int32Array(capacity).fill(NONE));
    this.nextSibling = enlarged(this.nextSibling, new Int32Array(capacity).fill(NONE));
    this.capacity = capacity;
  }
}

function enlarged<T extends Uint8Array | Int32Array | Uint32Array | Float64Array>(old: T, fresh: T): T {
  fresh.set(old);
  return fresh;
}
