/**
 * One pack's idx and the order of its entries by offset, taken from the rev file or sorted where there is none. An
 * object's "rank" is its place in the idx, an entry's "position" its place in the pack.
 *
 * What later reads trust is checked here, once: that offsets rise strictly along the order (which proves that it is a
 * permutation too) and lie between the pack's header and trailer.
 *
 * Memory: the idx file itself (28 bytes an object), and 8 bytes an object for the order and its inverse.
 */
import { HotpackError } from '../../bytes/error.ts';
import { parseIdx } from '../codec/idx.ts';
import type { PackIdx } from '../codec/idx.ts';
import { PACK_HEADER_BYTES, PACK_TRAILER_BYTES } from '../codec/pack-header.ts';
import { parseRev } from '../codec/rev.ts';
import type { PackSource } from './packed-objects.ts';

export class PackTable {
  readonly name: string;
  readonly packBytes: number;
  readonly objects: number;
  readonly idx: PackIdx;
  /** Rank by position. */
  readonly order: Uint32Array;
  /** Position by rank. */
  readonly positions: Uint32Array;

  /** Bytes that it keeps in memory. */
  get tableBytes(): number {
    return this.idx.names.buffer.byteLength + this.order.byteLength + this.positions.byteLength;
  }

  constructor(source: PackSource) {
    this.name = source.name;
    this.packBytes = source.pack.bytes;
    this.idx = parseIdx(source.idx);
    this.objects = this.idx.objects;
    if (this.packBytes < PACK_HEADER_BYTES + PACK_TRAILER_BYTES) throw this.#malformed('it is cut short');
    this.order = source.rev === undefined ? this.#sortedOrder() : this.#orderOf(source.rev);
    this.positions = this.#checkedInverse();
  }

  /** Where the entry of rank `rank` ends: where the next one begins, or the trailer. */
  endAt(rank: number): number {
    const next = (this.positions[rank] as number) + 1;
    return next < this.objects ? this.idx.offsetAt(this.order[next] as number) : this.packBytes - PACK_TRAILER_BYTES;
  }

  /** The rank of the entry that begins at `offset`, or -1. */
  rankAtOffset(offset: number): number {
    let low = 0;
    let high = this.objects - 1;
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const rank = this.order[middle] as number;
      const found = this.idx.offsetAt(rank);
      if (found === offset) return rank;
      if (found < offset) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  }

  #orderOf(file: Uint8Array): Uint32Array {
    const rev = parseRev(file, this.objects);
    if (rev.packChecksum !== this.idx.packChecksum) throw this.#malformed('its rev belongs to another pack');
    return rev.positions;
  }

  #sortedOrder(): Uint32Array {
    const offsets = new Float64Array(this.objects);
    const order = new Uint32Array(this.objects);
    for (let rank = 0; rank < this.objects; rank++) {
      offsets[rank] = this.idx.offsetAt(rank);
      order[rank] = rank;
    }
    return order.sort((left, right) => (offsets[left] as number) - (offsets[right] as number));
  }

  #checkedInverse(): Uint32Array {
    const positions = new Uint32Array(this.objects);
    let before = PACK_HEADER_BYTES - 1;
    for (let position = 0; position < this.objects; position++) {
      const rank = this.order[position] as number;
      const offset = this.idx.offsetAt(rank);
      if (offset <= before) throw this.#malformed('its entries are not in the order of their offsets');
      before = offset;
      positions[rank] = position;
    }
    if (before >= this.packBytes - PACK_TRAILER_BYTES) throw this.#malformed('its idx names offsets beyond its end');
    return positions;
  }

  #malformed(what: string): HotpackError {
    return new HotpackError('malformed_pack', `pack ${this.name}: ${what}`, { detail: { pack: this.name } });
  }
}
