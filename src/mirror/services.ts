/** What every mirror works with. */
import { abortError, raceSignal } from '../bytes/abort.ts';
import type { Oid } from '../bytes/oid.ts';
import type { Claims } from '../jobs/claims.ts';
import type { Job, JobHandle } from '../jobs/job.ts';
import type { Jobs } from '../jobs/jobs.ts';
import type { Storage } from '../storage/contract.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Capabilities } from '../protocol/capabilities/capability.ts';
import type { BoundedMap } from '../upstream/bounded-map.ts';
import type { Upstream } from '../upstream/contract.ts';
import type { Credential } from '../upstream/credential.ts';
import type { Repository } from '../upstream/repository.ts';
import type { Visibility } from './catalog/manifest.ts';
import type { LocalCopy } from './copy/local-copy.ts';
import type { KeepAlive } from './mirrors.ts';
import type { PackTables } from './copy/pack-tables.ts';
import type { SizeLimit } from './fetching/size-limit.ts';
import type { PackThreads } from './tasks.ts';

export interface MirrorServices {
  readonly storage: Storage;
  readonly upstream: Upstream;
  readonly jobs: Jobs;
  /** Absent: pack work runs in place. */
  readonly threads: PackThreads | undefined;
  readonly now: () => number;
  readonly logger: Logger;
  /** For one ingest beside its tables. */
  readonly ingestBytes: number;
  /** For the blocks and contents that one open mirror keeps, here and in threads. */
  readonly cacheBytes: number;
  readonly refCheckIntervalMs: number;
  /** Of all packs of one mirror. Absent or 0: there is no limit. */
  readonly maxMirrorBytes?: number;
  /** Where other machines work over the same store: of first fills. */
  readonly fillClaims?: Claims | undefined;
  /** Told where packs came or went. */
  readonly onStored?: () => void;
  /** Told where a mirror starts empty, since the repository is another one now or others may read it. */
  readonly onEmptied?: (repository: Repository) => void;
  /** Told where what upstream shows has come, on whatever way. */
  readonly onMoved?: (repository: Repository) => void;
  /**
   * Where an event may end at any moment: packs of first fills are taken in by stages (edge/staged-pack.ts). A fill that has
   * staged more than `endsAfterBytes` ends there, so that another event indexes with requests of its own.
   */
  readonly staging?: { readonly endsAfterBytes: number };
  /**
   * Where an event has so many requests to the store: how many ranges may be read for a bitmap. The packs that take more are
   * remembered, and have none.
   */
  readonly bitmapReads?: { readonly max: number; readonly tooMany: BoundedMap<string, true> };
  /** Where each request opens mirrors for itself. */
  readonly tables?: PackTables;
  /** Keeps the runtime alive for work that outlives an answer. Absent: it lives on by itself. Takes what never rejects. */
  readonly keepAlive?: KeepAlive;
  /**
   * Work that no client waits for is done elsewhere, on hotpack's own behalf: the mirror is to be brought up to what upstream
   * shows, and `wants` are to be had besides. Absent: it is done here, as jobs.
   */
  readonly handOver?: (asker: Asker, wants: readonly Oid[]) => void;
}

/** On whose behalf upstream is asked, and what it can do. Lives as long as the work that was asked for. */
export interface Asker {
  readonly credential: Credential | undefined;
  readonly capabilities: Capabilities;
  readonly visibility: Visibility;
}

export interface MirrorContext {
  readonly repository: Repository;
  readonly services: MirrorServices;
  readonly copy: LocalCopy;
  readonly limit: SizeLimit;
}

/** Of jobs that report how many bytes of pack have come in all. */
export interface Watching {
  readonly onProgress?: ((receivedBytes: number) => void) | undefined;
  /** When it fires this watcher leaves: see `Job.abandonWhenUnwatched`. */
  readonly signal?: AbortSignal | undefined;
}

/** Of whoever does not go on before the work has ended. */
export interface Waiting extends Watching {
  readonly signal: AbortSignal;
  /** Called for each job that is waited for: until `started` resolves it is not at work, but waits for its place. */
  readonly onQueued?: ((started: Promise<void>) => void) | undefined;
}

export type Submitted<T> = Pick<JobHandle<T>, 'started' | 'done'>;

/** As `jobs.submit`, but that no more jobs are taken is an outcome: whoever asked can do without. */
export function submitJob<T>(jobs: Jobs, job: Job<T>, watching: Watching = {}): Submitted<T> {
  const { onProgress, signal } = watching;
  try {
    const handle = jobs.submit(job, (progress) => onProgress?.(Number(progress)));
    if (signal === undefined) return handle;
    const leave = (): void => handle.cancel();
    if (signal.aborted) leave();
    else signal.addEventListener('abort', leave, { once: true });
    const done = handle.done.finally(() => signal.removeEventListener('abort', leave));
    return { started: handle.started, done };
  } catch (reason) {
    return { started: Promise.resolve(), done: Promise.resolve({ kind: 'aborted', reason }) };
  }
}

/** What a job gives. Rejects with what it failed with, or why the signal fired. */
export async function valueOf<T>(job: Submitted<T>, { signal, onQueued }: Waiting): Promise<T> {
  onQueued?.(job.started);
  const outcome = await raceSignal(job.done, signal);
  switch (outcome.kind) {
    case 'done':
      return outcome.value;
    case 'failed':
      throw outcome.error;
    case 'aborted':
      throw signal.aborted ? abortError(signal) : outcome.reason;
  }
}
