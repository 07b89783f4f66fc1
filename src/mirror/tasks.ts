/**
 * Work on packs that is CPU-bound, as tasks that can run in another thread: parameters and results are plain
 * data (structured clone), bytes come as a stream of chunks, everything else goes through a `Storage` that the
 * thread opens for itself. The adapter provides `PackThreads`; where a runtime has no threads (or a
 * storage that only one thread can see) `runPackTask` runs in place and yields between chunks.
 */
import type { Oid } from '../bytes/oid.ts';
import type { Storage } from '../storage/contract.ts';
import { ingestPack } from './ingest/ingest-pack.ts';
import { mergeAtRest } from './maintenance/merge-at-rest.ts';

export interface IngestParams {
  readonly kind: 'ingest';
  /** Key of the mirror's `objects/pack` folder, without a trailing slash. */
  readonly packFolder: string;
  /** Name of the pack to write: `pack-<40 hex>`. */
  readonly packName: string;
  /** Packs that are there already, in manifest order: bases of a thin pack, ends of connectivity. */
  readonly existing: readonly string[];
  /** Objects that must be in the pack or here already. */
  readonly tips: readonly Oid[];
  /** Bytes that windows and caches may hold beside the tables of at most 64 bytes an object. */
  readonly memoryBytes: number;
}

/** Packs that are at rest become one by copying their entries. Takes no chunks. */
export interface MergeParams {
  readonly kind: 'merge';
  readonly packFolder: string;
  /** Name of the pack to write. */
  readonly packName: string;
  /** In manifest order. */
  readonly sources: readonly { readonly name: string; readonly tailOffset: number }[];
  /** False where no pack of the manifest stands before the sources. */
  readonly keepsTail: boolean;
}

export interface WrittenPack {
  readonly kind: 'written';
  readonly packName: string;
  /** SHA-1 of the pack as it is at rest (its trailer). */
  readonly checksum: Oid;
  readonly objects: number;
  readonly packBytes: number;
  /** Where bases appended to complete a thin pack begin, and how many; `packBytes - 20` and 0 where none. */
  readonly tailOffset: number;
  readonly tailObjects: number;
}

export type IngestResult = { readonly kind: 'empty' } | WrittenPack;

export type PackTask = IngestParams | MergeParams;
export type PackTaskResult<T extends PackTask> = T extends IngestParams ? IngestResult : WrittenPack;

export interface PackThreads {
  /**
   * Runs `task`. Chunks are taken at the pace at which the task takes them (at most a few MiB on the way); the task may use
   * one only until it asks for the next.
   * Rejects with the task's own HotpackError; with `aborted` when the signal fires: then the task's writers are aborted first.
   */
  run<T extends PackTask>(task: T, chunks: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<PackTaskResult<T>>;
}

/** What a thread's entry and the in-place fallback both call. */
export async function runPackTask<T extends PackTask>(
  storage: Storage,
  task: T,
  chunks: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<PackTaskResult<T>> {
  const result =
    task.kind === 'merge' ? await mergeAtRest(storage, task, signal) : await ingestPack(storage, task, chunks, signal);
  return result as PackTaskResult<T>;
}
