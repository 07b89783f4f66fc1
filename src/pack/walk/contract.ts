/**
 * What every walk over a store's objects takes and what it counts. The walks themselves:
 *
 *   select-objects.ts  selectObjects(store, query, { signal, counters? }): Promise<Selection>
 *   negotiate.ts       commonHaves(store, haves): Oid[]
 *                      isReady(store, { wants, common }, options): Promise<boolean>
 *   reachable.ts       reachesAll(store, { tips, targets }, options): Promise<ReadonlySet<Oid>>
 *                      closure(store, roots, options): Promise<Bitset>
 *                      missingFrom(store, tips, options): Promise<ClosureCheck>
 *
 * Every walk is iterative (depth costs heap, never stack), gives the event loop a turn after every few
 * milliseconds of work, and rejects with `aborted` once its signal is aborted. Memory: at most 64 bytes an
 * object of the store over all tables.
 */
import type { Oid } from '../../bytes/oid.ts';

/** Work done, by objects whose content was asked of the store. Shared commit tables make later walks cheaper. */
export interface WalkCounters {
  commitsRead: number;
  treesRead: number;
  tagsRead: number;
  /** Blobs whose size was asked for (blob:limit); a blob's content is never read, but for a sparse filter's own. */
  sizesAsked: number;
}

export interface WalkOptions {
  readonly signal: AbortSignal;
  readonly counters?: WalkCounters;
}

/** Whether everything that the tips reach is in the store; `missing` is the first object found to be absent. */
export type ClosureCheck =
  | { readonly complete: true }
  | { readonly complete: false; readonly missing: Oid; readonly referredToBy: Oid | undefined };

export function createWalkCounters(): WalkCounters {
  return { commitsRead: 0, treesRead: 0, tagsRead: 0, sizesAsked: 0 };
}
