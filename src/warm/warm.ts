/**
 * Warming: passes at the start and then periodically, single repositories when somebody asks for it, and what is known of both. One
 * repository is warmed once at a time: who comes meanwhile joins.
 *
 * Memory: an entry for each repository of the last pass, and for each that was warmed, at most `MAX_WARMED`; at the start, while
 * it is recalled what was warmed before, a name for each that ever was.
 */
import { isHotpackError } from '../bytes/error.ts';
import type { PeriodicJobs, RunOutcome } from '../jobs/periodic.ts';
import { mirrorKeys, repositoryKeyOf } from '../mirror/keys.ts';
import type { Heat } from '../mirror/maintenance/space/fill-rooms.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Repository } from '../upstream/repository.ts';
import type { LastingWarm, PassOutcome, PassState, WarmedRepository, WarmProgress } from './contract.ts';
import { runPass, type Candidate, type PassDeps } from './pass.ts';
import {
  CLAIMS_PREFIX,
  claimOf,
  warmRepository,
  type Attempt,
  type Warming,
  type WarmingDeps,
} from './warm-repository.ts';

const MAX_WARMED = 100_000;
const DAY_MS = 86_400_000;
const HISTOGRAM_TIMEOUT_MS = 30_000;

export interface WarmDeps extends WarmingDeps, Omit<PassDeps, 'warm'> {
  readonly periodic: Pick<PeriodicJobs, 'add'>;
  /**
   * Where other machines fill the same store: whether this process had to do with the mirror before. Any other one is taken
   * over (`restore`). Absent: whatever is in the store is its own.
   */
  readonly isOwn?: ((repository: Repository) => boolean) | undefined;
  readonly logger: Logger;
  readonly metrics: Pick<Metrics, 'prewarmPasses' | 'prewarmPassSeconds' | 'prewarmRepoSeconds'>;
}

export interface WarmOptions {
  /** N; 0: no passes. */
  readonly mostCloned: number;
  /** Counted in whole days, today included. */
  readonly windowMs: number;
  readonly concurrency: number;
  /** 0: only at the start. */
  readonly intervalMs: number;
  /** Default: 30,000. */
  readonly histogramTimeoutMs?: number;
}

interface UnderWay {
  readonly done: Promise<Attempt>;
  readonly listeners: Set<(progress: WarmProgress) => void>;
}

export function createWarm(deps: WarmDeps, options: WarmOptions): LastingWarm {
  const { now, logger, metrics, periodic, isOwn = () => true } = deps;
  const ending = new AbortController();
  const underWay = new Map<string, UnderWay>();
  const warmed = new Set<string>();
  let recalling: Promise<void> | undefined;
  let ended: WarmedRepository[] = [];
  let pass: Omit<PassState, 'repos'> = {
    running: false,
    startedAtMs: undefined,
    endedAtMs: undefined,
    outcome: undefined,
  };

  async function warmOnce(warming: Warming): Promise<Attempt> {
    let attempt = await warmRepository(deps, warming, ending.signal);
    // oxlint-disable-next-line no-await-in-loop -- part after part
    while (attempt.kind === 'staged') attempt = await warmRepository(deps, warming, ending.signal);
    if (attempt.kind === 'held') return attempt;
    const { repo, path, status, ms, error } = attempt.result;
    metrics.prewarmRepoSeconds.observe({ path, status }, ms / 1000);
    const reason = attempt.unexpected ?? error;
    const fields = { repo, path, status, ms, ...(reason === undefined ? {} : { error: reason }) };
    if (status === 'ok' || status === 'skipped') logger.info('prewarm.repo', fields);
    else logger.warn('prewarm.repo', fields);
    if (attempt.isHere === true) noteWarmed(repo);
    else if (status === 'gone' || status === 'skipped') warmed.delete(repo);
    return attempt;
  }

  /** Rejects with `aborted` alone. */
  async function joinOrWarm(warming: Warming): Promise<Attempt> {
    const { name } = warming.repository;
    const { onProgress, waits } = warming;
    const present = underWay.get(name);
    if (present !== undefined) {
      if (onProgress !== undefined) present.listeners.add(onProgress);
      const attempt = await present.done;
      return attempt.kind === 'held' && waits ? joinOrWarm(warming) : attempt;
    }
    const listeners = new Set(onProgress === undefined ? [] : [onProgress]);
    const tell = (progress: WarmProgress): void => {
      for (const listener of listeners) listener(progress);
    };
    const done = warmOnce({ ...warming, onProgress: tell }).finally(() => underWay.delete(name));
    underWay.set(name, { done, listeners });
    return done;
  }

  /** What earlier processes, and others over the store, have made ready. Where nothing was ever warmed it costs one request. */
  async function recallWarmed(): Promise<void> {
    const { claims, listMirrors } = deps;
    const { signal } = ending;
    try {
      const claimed = new Set<string>();
      for await (const name of claims.names(CLAIMS_PREFIX, signal)) claimed.add(name);
      if (claimed.size === 0) return;
      for await (const { repository } of listMirrors(signal)) {
        const name = claimOf(repository);
        const doneAtMs = claimed.has(name) ? await claims.doneAtMs(name, signal) : undefined;
        if (doneAtMs !== undefined) noteWarmed(repository.name);
      }
    } catch (error) {
      if (!signal.aborted) logger.warn('storage_failed', { job: 'prewarm', error });
    }
  }

  function noteWarmed(repo: string): void {
    if (warmed.size < MAX_WARMED) warmed.add(repo);
  }

  async function passOnce(signal: AbortSignal): Promise<RunOutcome> {
    const startedAtMs = now();
    ended = [];
    pass = { running: true, startedAtMs, endedAtMs: undefined, outcome: undefined };
    let outcome: PassOutcome = 'failed';
    let failure: unknown;
    try {
      const days = Math.max(1, Math.ceil(options.windowMs / DAY_MS));
      const { mostCloned, concurrency, histogramTimeoutMs = HISTOGRAM_TIMEOUT_MS } = options;
      outcome = await runPass(
        {
          ...deps,
          warm: async (candidate, { waits }) => {
            const { repository, asked } = candidate;
            const wasHere = candidate.wasHere && isOwn(repository);
            const heat = heatOf(deps, candidate);
            const attempt = await joinOrWarm({ repository, wasHere, waits, notDoneSinceMs: startedAtMs, heat, asked });
            if (attempt.kind === 'ended') ended.push(attempt.result);
            return attempt;
          },
        },
        { mostCloned, windowDays: days, concurrency, histogramTimeoutMs },
        signal,
      );
    } catch (error) {
      failure = error;
      if (signal.aborted || isHotpackError(error, 'aborted')) outcome = 'aborted';
    }
    const endedAtMs = now();
    pass = { running: false, startedAtMs, endedAtMs, outcome };
    metrics.prewarmPasses.add({ outcome });
    metrics.prewarmPassSeconds.observe({ outcome }, (endedAtMs - startedAtMs) / 1000);
    const count = (isFailed: boolean): number =>
      ended.filter((one) => one.status !== 'skipped' && (one.status !== 'ok') === isFailed).length;
    const fields = { outcome, warmed: count(false), failed: count(true), ms: endedAtMs - startedAtMs };
    if (outcome === 'failed') logger.warn('prewarm.end', { ...fields, error: failure });
    else logger.info('prewarm.end', fields);
    return outcome === 'failed' ? 'failed' : 'done';
  }

  async function warmNow(
    repository: Repository,
    onProgress?: (progress: WarmProgress) => void,
  ): Promise<WarmedRepository> {
    const startedAtMs = now();
    const failed = (error: string): WarmedRepository => ({
      repo: repository.name,
      path: 'fetch',
      status: 'error',
      ms: now() - startedAtMs,
      error,
    });
    if (ending.signal.aborted) return failed('hotpack is shutting down');
    try {
      const wasHere = isOwn(repository) && (await isHere(deps, repository));
      const attempt = await joinOrWarm({ repository, wasHere, waits: true, onProgress });
      return attempt.kind === 'ended' ? attempt.result : failed('another instance is at it');
    } catch (error) {
      return failed(ending.signal.aborted ? 'hotpack is shutting down' : storageMessage(error));
    }
  }

  return {
    start() {
      // Also without passes: what was warmed by hand counts as such after a restart, too.
      recalling = recallWarmed();
      if (options.mostCloned === 0) return;
      periodic.add({ name: 'prewarm', intervalMs: options.intervalMs, runsAtStart: true, run: passOnce });
    },
    async stop() {
      ending.abort();
      await Promise.allSettled([recalling, ...[...underWay.values()].map(({ done }) => done)]);
    },
    state: () => ({ ...pass, repos: [...ended] }),
    warmRepository: warmNow,
    warmLater: async (repository) => void (await warmNow(repository)),
    isWarmed: (repo) => warmed.has(repo),
  };
}

function heatOf(deps: WarmDeps, { repository, clones, clonesOf }: Candidate): Heat {
  const askedAtMs = deps.mirrorOf(repository).lastAskedAtMs ?? Number.NEGATIVE_INFINITY;
  const { root } = mirrorKeys(repository.key);
  return { root, clones, askedAtMs, clonesOf: (other) => clonesOf(repositoryKeyOf(other)) };
}

function isHere(deps: WarmDeps, repository: Repository): Promise<boolean> {
  return deps.mirrorOf(repository).isHere();
}

function storageMessage(error: unknown): string {
  return isHotpackError(error) ? error.message : 'hotpack failed';
}
