/**
 * What the pack writer sees beside `ObjectStore`: where an object lies and its stored bytes. Object
 * numbers are those of `ObjectStore`; "position" is an entry's rank in its pack by offset (what a rev
 * file maps to idx ranks). Object numbers of pack p are `firstObject(p) … firstObject(p) + objectsIn(p) − 1`.
 */
import type { RandomAccess } from '../../storage/contract.ts';
import type { PackTable } from './pack-table.ts';
import type { ReadCounters } from './read-counters.ts';

/** The files of one pack. `idx` stays referenced by the store, `rev` does not. Without `rev` the order is sorted. */
export interface PackSource {
  readonly name: string;
  readonly pack: RandomAccess;
  readonly idx: Uint8Array;
  readonly rev: Uint8Array | undefined;
}

/** One pack of a manifest; by its table where that was made of its files before. */
export type OpenedPack = PackSource | { readonly pack: RandomAccess; readonly table: PackTable };

export interface ReadOptions {
  readonly signal?: AbortSignal | undefined;
  /** Memory of at least as many bytes as are asked for, which may be read into (`RandomAccess.read`). */
  readonly into?: Uint8Array | undefined;
}

export interface PackedObjects {
  readonly counters: ReadCounters;
  /** Above this `read` rejects with `limit_exceeded`. */
  readonly maxObjectBytes: number;
  readonly packCount: number;
  packName(pack: number): string;
  /** Length of the pack file, its 20-byte trailer included. */
  packBytes(pack: number): number;
  firstObject(pack: number): number;
  objectsIn(pack: number): number;

  packOf(object: number): number;
  /** Where the object's entry begins in its pack. */
  offsetOf(object: number): number;
  /** Where its entry ends: the next entry's offset, or the trailer's. */
  entryEnd(object: number): number;
  /** Rank of the object's entry in its pack by offset. */
  positionOf(object: number): number;
  /** The object whose entry has that rank in `pack`; inverse of `positionOf`, not canonical. */
  objectAtPosition(pack: number, position: number): number;
  /** `positionOf` for all objects of `pack`, the first one's first. Not to be written to. */
  positionsIn(pack: number): ArrayLike<number>;
  /** Where the entries of `pack` begin, by position; one more at the end, where its trailer does. Not to be written to. */
  startsIn(pack: number): ArrayLike<number>;
  /**
   * Position of the entry that begins at `offset` of `pack`, looked for from position `near` backwards; rejects what is none with
   * `malformed_pack`.
   */
  positionAtOffset(pack: number, offset: number, near: number): number;
  /** The (canonical) object whose entry begins at `offset` of `pack`; rejects what is none with `malformed_pack`. */
  objectAtOffset(pack: number, offset: number): number;

  /** The number by which the object is known: that of the first pack that holds it. */
  canonical(object: number): number;
  /** As `findBytes`, but only in packs 0 … `lastPack`: where the base of a REF_DELTA of `lastPack` must lie. */
  findBaseBytes(table: Uint8Array, offset: number, lastPack: number): number;

  /**
   * Bytes of the pack as stored, exactly `length` of them, from the block cache where all of them are there, else
   * in one ranged read that leaves the cache alone. Rejects with `malformed_pack` on a short read.
   */
  readRange(pack: number, offset: number, length: number, options?: ReadOptions): Promise<Uint8Array>;

  /** The bitmap's file may have come since it was looked for: `bitmaps` looks again. */
  forgetBitmap(): void;

  /** Drops every cache; later reads reject with `invalid_argument`. The packs' readers are their owner's to close. */
  close(): void;
}
