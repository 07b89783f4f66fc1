/**
 * Keeps inflated deltas of the first pass for the second, so that most are inflated once: slabs of 1 MiB up to a
 * budget of bytes (positions, 4 bytes an entry, included). Large deltas are not kept.
 */
const SLAB_BITS = 20;
const SLAB_BYTES = 1 << SLAB_BITS;
const MAX_DELTA_BYTES = 1 << 16;
const LENGTH_BYTES = 4;

export class DeltaArena {
  /** True once there was a delta that did not fit any more. */
  isFull = false;
  private readonly budget: number;
  private readonly slabs: Uint8Array[] = [];
  private slabUsed = SLAB_BYTES;
  /** By entry: position of the kept delta plus 1, in bytes over all slabs; 0 where none is kept. */
  private positions = new Uint32Array(0);

  constructor(budget: number) {
    this.budget = Math.min(budget, 2 ** 32 - SLAB_BYTES);
  }

  /** Room for a delta of `bytes`, or `undefined`. It counts once `keep` was called for it. */
  reserve(bytes: number): Uint8Array | undefined {
    if (bytes > MAX_DELTA_BYTES) return undefined;
    if (this.slabUsed + LENGTH_BYTES + bytes > SLAB_BYTES) {
      const held = (this.slabs.length + 1) * SLAB_BYTES + this.positions.length * 4;
      if (held > this.budget) {
        this.isFull = true;
        return undefined;
      }
      this.slabs.push(new Uint8Array(SLAB_BYTES));
      this.slabUsed = 0;
    }
    const slab = this.slabs[this.slabs.length - 1] as Uint8Array;
    const at = this.slabUsed + LENGTH_BYTES;
    return slab.subarray(at, at + bytes);
  }

  /** Keeps what `reserve` gave room for as the delta of `entry`. */
  keep(entry: number, bytes: number): void {
    if (entry >= this.positions.length) {
      const more = new Uint32Array(Math.max(1024, entry * 2));
      more.set(this.positions);
      this.positions = more;
    }
    const slab = this.slabs[this.slabs.length - 1] as Uint8Array;
    const at = this.slabUsed;
    slab[at] = bytes & 0xff;
    slab[at + 1] = (bytes >> 8) & 0xff;
    slab[at + 2] = (bytes >> 16) & 0xff;
    slab[at + 3] = 0;
    this.positions[entry] = (this.slabs.length - 1) * SLAB_BYTES + at + 1;
    this.slabUsed = at + LENGTH_BYTES + bytes;
  }

  get(entry: number): Uint8Array | undefined {
    const position = this.positions[entry];
    if (position === undefined || position === 0) return undefined;
    const slab = this.slabs[(position - 1) >>> SLAB_BITS] as Uint8Array;
    const at = (position - 1) & (SLAB_BYTES - 1);
    const bytes = (slab[at] as number) | ((slab[at + 1] as number) << 8) | ((slab[at + 2] as number) << 16);
    return slab.subarray(at + LENGTH_BYTES, at + LENGTH_BYTES + bytes);
  }
}
