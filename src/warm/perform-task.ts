/**
 * Carries out one task of a queue: the repository is warmed, whoever asked for it. Claimed like all warming, so that twenty
 * messages about one repository cause one fill; who finds it claimed comes back later, since the other may have died.
 */
import { createDeadline } from '../bytes/abort.ts';
import { HotpackError } from '../bytes/error.ts';
import type { MirrorTask } from '../mirror/edge/mirror-task.ts';
import type { Heat } from '../mirror/maintenance/space/fill-rooms.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Repository } from '../upstream/repository.ts';
import type { WarmedRepository } from './contract.ts';
import { noteGone, type GoneDeps } from './pass.ts';
import { warmRepository, type Attempt, type Staged, type WarmingDeps } from './warm-repository.ts';

/** `again`: it is to be tried once more, later. `more`: a part is done, and the rest is for another event, now. */
export type TaskOutcome = 'done' | 'again' | 'more';

export interface TaskDeps extends WarmingDeps, GoneDeps {
  readonly logger: Logger;
  readonly metrics: Pick<Metrics, 'prewarmRepoSeconds'>;
  readonly histogramTimeoutMs: number;
  /** What the last pass has counted. Undefined: there is no limit to keep to. Rejects where the store fails, and with `aborted`. */
  readonly heatOf: (repository: Repository, signal: AbortSignal) => Promise<Heat | undefined>;
  /** Told what became of it, whether or not it is to be tried again. Never rejects. */
  readonly onEnded: (task: MirrorTask, result: WarmedRepository) => Promise<void>;
}

export interface TaskLimits {
  /** For all of it. */
  readonly timeoutMs: number;
  /** Of a pack; absent: no limit. */
  readonly maxBytes?: number;
}

/** Never rejects. */
export async function performTask(deps: TaskDeps, task: MirrorTask, limits: TaskLimits): Promise<TaskOutcome> {
  const { logger, metrics } = deps;
  const { repository, wants, askedAtMs, askedBy } = task;
  const tooLarge = new AbortController();
  const deadline = createDeadline({
    parents: [tooLarge.signal],
    timeoutMs: limits.timeoutMs,
    operation: 'a task of the queue',
  });
  const { signal } = deadline;
  let attempt: Attempt | Staged;
  try {
    const wasHere = await deps.mirrorOf(repository).isHere(signal);
    const heat = askedBy === 'pass' ? await deps.heatOf(repository, signal) : undefined;
    attempt = await warmRepository(
      deps,
      {
        repository,
        wasHere,
        waits: false,
        wants,
        ...(heat === undefined ? {} : { heat }),
        // Objects by hash are no part of what others have done.
        ...(wants.length === 0 ? { notDoneSinceMs: askedAtMs } : {}),
        onProgress: (progress) => {
          if (progress.kind !== 'received' || progress.bytes <= (limits.maxBytes ?? Number.POSITIVE_INFINITY)) return;
          tooLarge.abort(
            new HotpackError('limit_exceeded', 'too large to be filled behind a request', { detail: { ...limits } }),
          );
        },
      },
      signal,
    );
  } catch (error) {
    logger.warn('job_failed', { kind: 'task', repo: repository.name, error });
    return 'again';
  } finally {
    deadline.dispose();
  }
  if (attempt.kind === 'held') return 'again';
  if (attempt.kind === 'staged') {
    logger.info('fill_staged', { repo: repository.name });
    return 'more';
  }
  const { result } = attempt;
  const { repo, path, status, ms, error } = result;
  metrics.prewarmRepoSeconds.observe({ path, status }, ms / 1000);
  await deps.onEnded(task, result);
  const fields = { repo, path, status, ms, ...(error === undefined ? {} : { error }) };
  if (status === 'ok' || status === 'skipped') logger.info('prewarm.repo', fields);
  else logger.warn('prewarm.repo', fields);
  if (status === 'gone' || status === 'ok') {
    await noteGone(deps, deps, { results: [result] }, AbortSignal.timeout(deps.histogramTimeoutMs)).catch(
      () => undefined,
    );
  }
  return status === 'error' || status === 'timeout' ? 'again' : 'done';
}
