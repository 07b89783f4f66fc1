/**
 * What the objects of a new pack refer to and what the repository does not have already: a set of 64-bit
 * fingerprints (open addressing, at most 10 bytes a pack entry: a connected pack cannot lack more different names than
 * it has entries, so beyond that the set only remembers that it overflowed). In the end every member must be a
 * name of the new pack. A fixed cache of 32 KiB answers repeated links to objects that are here already.
 */
import { OID_BYTES } from '../../../bytes/oid.ts';
import type { ObjectStore } from '../../object-store.ts';
import { fingerprint, print } from './fingerprint.ts';

const RECENT_SLOTS = 4096;
const LOAD = 0.8;

export class LinkSet {
  private readonly existing: ObjectStore | undefined;
  private readonly limit: number;
  private capacity: number;
  private size = 0;
  private low: Uint32Array;
  private high: Uint32Array;
  private readonly recentLow = new Uint32Array(RECENT_SLOTS);
  private readonly recentHigh = new Uint32Array(RECENT_SLOTS);
  private overflowed = false;

  /** `limit`: how many entries the pack has. */
  constructor(existing: ObjectStore | undefined, limit: number) {
    this.existing = existing;
    this.limit = limit;
    this.capacity = Math.ceil(Math.min(limit + 1, 1024) / LOAD) + 1;
    this.low = new Uint32Array(this.capacity);
    this.high = new Uint32Array(this.capacity);
  }

  /** Notes a link to the 20 bytes at `at` of `table`. */
  add(table: Uint8Array, at: number): void {
    if (this.overflowed) return;
    fingerprint(table, at);
    const { low, high } = print;
    let slot = this.slotOf(low, high);
    if (this.low[slot] === low && this.high[slot] === high) return;
    if (this.existing !== undefined) {
      const recent = low & (RECENT_SLOTS - 1);
      if (this.recentLow[recent] === low && this.recentHigh[recent] === high) return;
      if (this.existing.findBytes(table, at) >= 0) {
        this.recentLow[recent] = low;
        this.recentHigh[recent] = high;
        return;
      }
    }
    if (this.size >= this.limit) {
      this.overflowed = true;
      return;
    }
    if (this.size + 1 > this.capacity * LOAD) {
      this.grow();
      slot = this.slotOf(low, high);
    }
    this.low[slot] = low;
    this.high[slot] = high;
    this.size++;
  }

  /** True where every link is among the `count` names of `names`. Ends the set's use. */
  allAmong(names: Uint8Array, count: number): boolean {
    if (this.overflowed) return false;
    const seen = new Uint8Array(Math.ceil(this.capacity / 8));
    let matched = 0;
    for (let i = 0; i < count && matched < this.size; i++) {
      fingerprint(names, i * OID_BYTES);
      const { low, high } = print;
      const slot = this.slotOf(low, high);
      if (this.low[slot] !== low || this.high[slot] !== high) continue;
      const bit = 1 << (slot & 7);
      if ((seen[slot >> 3] as number) & bit) continue;
      seen[slot >> 3] = (seen[slot >> 3] as number) | bit;
      matched++;
    }
    return matched === this.size;
  }

  release(): void {
    this.low = new Uint32Array(0);
    this.high = new Uint32Array(0);
    this.capacity = 0;
  }

  /** The slot that holds the fingerprint or the free one where it belongs. */
  private slotOf(low: number, high: number): number {
    const { low: lows, high: highs, capacity } = this;
    let slot = Math.floor((high / 0x100000000) * capacity);
    for (;;) {
      const foundLow = lows[slot] as number;
      const foundHigh = highs[slot] as number;
      if ((foundLow === low && foundHigh === high) || (foundLow === 0 && foundHigh === 0)) {
        return slot;
      }
      slot = slot + 1 === capacity ? 0 : slot + 1;
    }
  }

  private grow(): void {
    const { low, high } = this;
    this.capacity = Math.min(this.capacity * 2, Math.ceil((this.limit + 1) / LOAD) + 1);
    this.low = new Uint32Array(this.capacity);
    this.high = new Uint32Array(this.capacity);
    for (let i = 0; i < low.length; i++) {
      const oldLow = low[i] as number;
      const oldHigh = high[i] as number;
      if (oldLow === 0 && oldHigh === 0) continue;
      const slot = this.slotOf(oldLow, oldHigh);
      this.low[slot] = oldLow;
      this.high[slot] = oldHigh;
    }
  }
}
