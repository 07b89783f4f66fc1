/**
 * Work on packs that is CPU-bound, as tasks that can run in another thread: parameters and results are plain
 * data (structured clone), bytes come as a stream of chunks, everything else goes through a `Storage` that the
 * thread opens for itself. The adapter provides `PackThreads`; where a runtime has no threads (or a
 * storage that only one thread can see) `runPackTask` runs in place and yields between chunks.
 */
import type { Oid } from '../bytes/oid.ts';
import type { PackTableParts } from '../pack/reading/pack-table.ts';
import type { StoreWork } from '../pack/work/store-work.ts';
import type { Storage } from '../storage/contract.ts';
import { indexAtRest } from './ingest/index-at-rest.ts';
import { ingestPack } from './ingest/ingest-pack.ts';
import { bitmapAtRest } from './maintenance/bitmaps/bitmap-at-rest.ts';
import { checkAtRest } from './maintenance/repacking/check-at-rest.ts';
import { mergeAtRest } from './maintenance/merging/merge-at-rest.ts';
import { repackAtRest } from './maintenance/repacking/repack-at-rest.ts';

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

/** A pack that is at rest, and needs no other one, gets its idx and rev. Takes no chunks; its result is that of an ingest. */
export interface IndexParams {
  readonly kind: 'index';
  readonly packFolder: string;
  readonly packName: string;
  /** Objects that must be in the pack. */
  readonly tips: readonly Oid[];
  /** Beside the tables of at most 64 bytes an object. */
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

/** The reachability bitmap of one pack at rest. Takes no chunks. */
export interface BitmapParams {
  readonly kind: 'bitmap';
  readonly packFolder: string;
  readonly packName: string;
  /** The pack's trailer. */
  readonly packChecksum: Oid;
  /** What refs name, the most important first. */
  readonly tips: readonly Oid[];
  /** Half of it for reading the pack, half for the sets; tables come on top. */
  readonly memoryBytes: number;
}

export type BitmapResult =
  | { readonly kind: 'built'; readonly commits: number; readonly fileBytes: number }
  | { readonly kind: 'open' }
  | { readonly kind: 'nothing' };

/** All packs of a mirror are sorted anew by what branches need, what others need, and what nobody does. Takes no chunks. */
export interface RepackParams {
  readonly kind: 'repack';
  readonly packFolder: string;
  /** In manifest order. */
  readonly sources: readonly { readonly name: string; readonly tailOffset: number }[];
  /** How many of them, the first ones, are of class `branches`. */
  readonly closedPacks: number;
  /** What those of class `branches` are to reach, and what else is to stay. What is not there is passed over. */
  readonly branchTips: readonly Oid[];
  readonly otherTips: readonly Oid[];
  /** Nothing is written where not more than this share of the packs' bytes, 0 to 1, lies in the wrong place. */
  readonly leastShare: number;
  /** Names of the packs to write. */
  readonly names: { readonly branches: string; readonly others: string };
  readonly memoryBytes: number;
}

export type RepackResult =
  | { readonly kind: 'spared' }
  | { readonly kind: 'repacked'; readonly branches: WrittenPack; readonly others: WrittenPack | undefined };

/** Whether all that objects of some packs refer to is there. Takes no chunks. */
export interface CheckParams {
  readonly kind: 'check';
  readonly packFolder: string;
  /** In manifest order. */
  readonly packs: readonly string[];
  /** How many of them, the first ones, are of class `branches`. */
  readonly closedPacks: number;
  /** Those to be looked through. */
  readonly checked: readonly string[];
  readonly memoryBytes: number;
}

/** `open`: something is missing. */
export type CheckResult = { readonly kind: 'closed' } | { readonly kind: 'open' };

interface PackTasks {
  readonly ingest: { readonly params: IngestParams; readonly result: IngestResult };
  readonly index: { readonly params: IndexParams; readonly result: IngestResult };
  readonly merge: { readonly params: MergeParams; readonly result: WrittenPack };
  readonly bitmap: { readonly params: BitmapParams; readonly result: BitmapResult };
  readonly repack: { readonly params: RepackParams; readonly result: RepackResult };
  readonly check: { readonly params: CheckParams; readonly result: CheckResult };
}

export type PackTask = PackTasks[keyof PackTasks]['params'];
export type PackTaskResult<T extends PackTask> = PackTasks[T['kind']]['result'];

/** Packs that are open, for a thread that is to open them too. Plain data. */
export interface StorePlace {
  /** `MirrorKeys.packFolder`. */
  readonly packFolder: string;
  /** In manifest order; in memory that threads share (`PackTable.share`). */
  readonly tables: readonly PackTableParts[];
  /** How many of them, the first ones, are of class `branches`. */
  readonly closedPacks: number;
  /** For blocks and contents in all threads. */
  readonly cacheBytes: number;
}

/** Opened when it is first asked. */
export interface OpenStoreWork extends StoreWork {
  /** Once nobody asks any more; what is still being asked fails. Never rejects. */
  close(): Promise<void>;
}

export interface PackThreads {
  /** Work on open packs for clients who wait: it goes before tasks. */
  openStore(place: StorePlace): OpenStoreWork;
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
  return (await run(storage, task, chunks, signal)) as PackTaskResult<T>;
}

function run(
  storage: Storage,
  task: PackTask,
  chunks: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<PackTaskResult<PackTask>> {
  switch (task.kind) {
    case 'ingest':
      return ingestPack(storage, task, chunks, signal);
    case 'index':
      return indexAtRest(storage, task, signal);
    case 'merge':
      return mergeAtRest(storage, task, signal);
    case 'bitmap':
      return bitmapAtRest(storage, task, signal);
    case 'repack':
      return repackAtRest(storage, task, signal);
    case 'check':
      return checkAtRest(storage, task, signal);
  }
}
