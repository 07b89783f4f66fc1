/**
 * One pack's idx and the order of its entries by offset, taken from the rev file or sorted where there is none. An
 * object's "rank" is its place in the idx, an entry's "position" its place in the pack.
 *
 * What later reads trust is checked here, once: that offsets rise strictly along the order (which proves that it is a
 * permutation of ranks too) and lie between the pack's header and trailer.
 *
 * Memory: the idx file itself (28 bytes an object), and 12 bytes an object for the order, its inverse and the offsets along it (16
 * in packs of 4 GiB and more). Opening is one pass over all objects beside bulk copies, since it stands before the first answer of
 * a process, where every loop begins uncompiled.
 */
import { HotpackError } from '../../bytes/error.ts';
import { parseIdx } from '../codec/idx.ts';
import type { PackIdx } from '../codec/idx.ts';
import { PACK_HEADER_BYTES, PACK_TRAILER_BYTES } from '../codec/pack-header.ts';
import { parseRev } from '../codec/rev.ts';
import type { PackSource } from './packed-objects.ts';

/** What a table consists of: plain data, from which another thread has the same table without reading or looking at anything. */
export interface PackTableParts {
  readonly name: string;
  readonly packBytes: number;
  /** The idx file. */
  readonly idx: Uint8Array;
  /** As in `PackTable`. */
  readonly order: Uint32Array;
  readonly positions: Uint32Array;
  readonly starts: Uint32Array | Float64Array;
}

export class PackTable {
  readonly name: string;
  readonly packBytes: number;
  readonly objects: number;
  readonly idx: PackIdx;
  /** Rank by position. */
  readonly order: Uint32Array;
  /** Position by rank. */
  readonly positions: Uint32Array;
  /** By position: where the entry begins; one more at the end, where the trailer does. Rises strictly. */
  readonly starts: Uint32Array | Float64Array;
  readonly #idxFile: Uint8Array;

  /** Bytes that it keeps in memory. */
  get tableBytes(): number {
    const { idx, order, positions, starts } = this;
    return idx.names.buffer.byteLength + order.byteLength + positions.byteLength + starts.byteLength;
  }

  /** Parts are those of a table that was made before. */
  constructor(from: PackSource | PackTableParts) {
    this.name = from.name;
    this.packBytes = 'pack' in from ? from.pack.bytes : from.packBytes;
    this.#idxFile = from.idx;
    this.idx = parseIdx(from.idx);
    this.objects = this.idx.objects;
    if ('order' in from) {
      this.order = from.order;
      this.positions = from.positions;
      this.starts = from.starts;
      return;
    }
    if (this.packBytes < PACK_HEADER_BYTES + PACK_TRAILER_BYTES) throw this.#malformed('it is cut short');
    const offsets = this.idx.offsets();
    this.order = from.rev === undefined ? sortedOrder(offsets) : this.#orderOf(from.rev);
    this.positions = new Uint32Array(this.objects);
    this.starts = new (this.packBytes < 2 ** 32 ? Uint32Array : Float64Array)(this.objects + 1);
    this.#fill(offsets);
  }

  get parts(): PackTableParts {
    const { name, packBytes, order, positions, starts } = this;
    return { name, packBytes, idx: this.#idxFile, order, positions, starts };
  }

  /** The same table in memory that threads share: its parts are copied here, and no more where they are handed on. */
  share(): PackTable {
    const { name, packBytes, idx, order, positions, starts } = this.parts;
    return new PackTable({
      name,
      packBytes,
      idx: shared(idx),
      order: shared(order),
      positions: shared(positions),
      starts: shared(starts),
    });
  }

  offsetAt(rank: number): number {
    return this.starts[this.positions[rank] as number] as number;
  }

  /** Where the entry of rank `rank` ends: where the next one begins, or the trailer. */
  endAt(rank: number): number {
    return this.starts[(this.positions[rank] as number) + 1] as number;
  }

  /** Position of the entry that begins at `offset`, or -1. Looked for from position `near` backwards, where a delta's base lies. */
  positionAt(offset: number, near: number = this.objects - 1): number {
    const { starts } = this;
    let low = 0;
    let high = this.objects - 1;
    for (let at = near, step = 1; at >= low && at <= high; at -= step, step *= 2) {
      if ((starts[at] as number) <= offset) {
        low = at;
        break;
      }
      high = at - 1;
    }
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const found = starts[middle] as number;
      if (found === offset) return middle;
      if (found < offset) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  }

  #orderOf(file: Uint8Array): Uint32Array {
    const rev = parseRev(file, this.objects, { leavesRange: true });
    if (rev.packChecksum !== this.idx.packChecksum) throw this.#malformed('its rev belongs to another pack');
    return rev.positions;
  }

  #fill(offsets: Uint32Array | Float64Array): void {
    const { objects, order, positions, starts } = this;
    const trailerAt = this.packBytes - PACK_TRAILER_BYTES;
    let before = PACK_HEADER_BYTES - 1;
    for (let position = 0; position < objects; position++) {
      const rank = order[position] as number;
      const offset = offsets[rank] as number;
      // A rank beyond the idx has no offset, which is above nothing.
      if (!(offset > before)) throw this.#malformed('its entries are not in the order of their offsets');
      before = offset;
      positions[rank] = position;
      starts[position] = offset;
    }
    // Compared as it was read: what is too large for the array does not fit the pack either.
    if (before >= Math.min(trailerAt, this.idx.offsetsEnd))
      throw this.#malformed('its idx names offsets beyond its end');
    starts[objects] = trailerAt;
  }

  #malformed(what: string): HotpackError {
    return new HotpackError('malformed_pack', `pack ${this.name}: ${what}`, { detail: { pack: this.name } });
  }
}

function sortedOrder(offsets: Uint32Array | Float64Array): Uint32Array {
  const order = Uint32Array.from(offsets.keys());
  return order.sort((left, right) => (offsets[left] as number) - (offsets[right] as number));
}

function shared<T extends Uint8Array | Uint32Array | Float64Array>(table: T): T {
  const copy = new (table.constructor as new (buffer: SharedArrayBuffer) => T)(new SharedArrayBuffer(table.byteLength));
  copy.set(table);
  return copy;
}
