/**
 * The engine's view of one repository's objects: the packs of one manifest, read through their idx and
 * rev files. Objects are numbered 0 … objectCount − 1 ("object number"): pack by pack in manifest order,
 * within a pack in the order of its idx. An object that several packs hold is always named by the number in the
 * first of these packs, so that a delta's base never lies in a later pack than the delta (packs are self-contained) and
 * chains that cross packs cannot form a cycle.
 */
import type { Oid } from '../bytes/oid.ts';
import type { StoreBitmaps } from './bitmap/store-bitmaps.ts';
import type { ObjectType } from './codec/object-type.ts';

export interface GitObject {
  readonly type: ObjectType;
  /** Inflated, deltas resolved. Not to be written to: it may lie in a cache. */
  readonly content: Uint8Array;
}

export interface ObjectStore {
  readonly objectCount: number;
  /** The object's number, or -1. Synchronous: idx tables are in memory (20 + 8 bytes an object). */
  find(oid: Oid): number;
  /** As `find`, for 20 bytes at `offset` of `table`. */
  findBytes(table: Uint8Array, offset: number): number;
  oidOf(object: number): Oid;
  /** Writes the 20 bytes of the object's name at `offset` of `target`. */
  copyOid(object: number, target: Uint8Array, offset: number): void;
  /**
   * The object if it can be had without I/O (its bytes and its delta chain lie in the cache), else `undefined`:
   * then `await store.read(object)`. Walkers call `readCached` first, so that the common case costs no promise.
   */
  readCached(object: number): GitObject | undefined;
  /** Rejects with `limit_exceeded` above `maxObjectBytes` (commits, trees and tags are never that large in earnest). */
  read(object: number, signal?: AbortSignal): Promise<GitObject>;
  /** Type without content where a cheap way exists (follows the delta chain's headers). */
  typeOf(object: number, signal?: AbortSignal): Promise<ObjectType>;
  /** Inflated size without content (a delta's header holds its result's size). */
  sizeOf(object: number, signal?: AbortSignal): Promise<number>;
  /** Sets of what certain commits reach, where a pack of the store has some. Never rejects: without them one walks. */
  readonly bitmaps?: () => Promise<StoreBitmaps | undefined>;
}
