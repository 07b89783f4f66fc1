/**
 * What `streamPack` is asked for and what it counts. Counting starts at 0 and is complete once the
 * stream has ended.
 */
import type { StorageWriter } from '../../storage/contract.ts';
import type { ObjectSet } from '../selection.ts';

export interface PackQuery {
  /** Canonical object numbers, ascending, each once. */
  readonly objects: Uint32Array;
  /** What the client is known to have; looked at only where `thin`. */
  readonly clientHas: ObjectSet;
  /** The client takes OFS_DELTA entries; otherwise every delta names its base by its oid. */
  readonly ofsDelta: boolean;
  /** A delta may be sent against an object of `clientHas` that does not go along. */
  readonly thin: boolean;
}

export interface PackOptions {
  readonly signal: AbortSignal;
  readonly counters?: PackCounters;
  /**
   * Room for objects above the store's in-memory bound that must be put together from deltas. The scratch is
   * aborted after use. Without it such an object ends the stream with `limit_exceeded`.
   */
  readonly openScratch?: () => Promise<StorageWriter>;
}

export interface PackCounters {
  /** Entries written. */
  objects: number;
  /** Entries copied that were no deltas, and all those of a pack that was copied whole without a look at them. */
  reused: number;
  /** Deltas copied, their base named anew where it had to be. */
  reusedDeltas: number;
  /** Objects put together and deflated whole, since their base does not go along. */
  deflated: number;
  /** Bytes of stored entries that went out as they lie in the store. */
  bytesCopied: number;
  /** Bytes that SHA-1 went over. */
  bytesHashed: number;
  /** All bytes of the pack, header and trailer included. */
  bytesWritten: number;
}

export function createPackCounters(): PackCounters {
  return { objects: 0, reused: 0, reusedDeltas: 0, deflated: 0, bytesCopied: 0, bytesHashed: 0, bytesWritten: 0 };
}
