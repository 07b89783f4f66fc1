/**
 * Warming as it is asked for and told of where each request is an event of its own (Workers): what is to be done is handed
 * over, and the store says what became of it (report.ts). What was found out about a repository is remembered for a while.
 */
import { sleep } from '../../bytes/abort.ts';
import type { Claims } from '../../jobs/claims.ts';
import type { Storage } from '../../storage/contract.ts';
import { BoundedMap } from '../../upstream/bounded-map.ts';
import type { Repository, UpstreamConfig } from '../../upstream/repository.ts';
import { repositoryOfName } from '../../upstream/repository.ts';
import type { Warm, WarmedRepository } from '../contract.ts';
import { claimOf } from '../warm-repository.ts';
import { readOutcome, readReport, resultOf } from './report.ts';

const MAX_KNOWN = 4_096;
const KNOWN_MS = 10 * 60_000;
const LOOK_MS = 2_000;
/** As long as a consumer of a queue may take: some 450 looks. */
const LONGEST_MS = 15 * 60_000;

export interface EdgeWarmDeps {
  readonly storage: Pick<Storage, 'readAll'>;
  readonly upstreams: ReadonlyMap<string, UpstreamConfig>;
  readonly claims: Pick<Claims, 'doneAtMs'>;
  readonly now: () => number;
  /** Sees to it that it is warmed: resolves when a queue has taken it, or where there is none when it is done. Never rejects. */
  readonly handOver: (repository: Repository) => Promise<void>;
  /** Where there is no queue: warms it in this event. */
  readonly warmHere?: Warm['warmRepository'];
}

export function createEdgeWarm(deps: EdgeWarmDeps): Warm {
  const { storage, upstreams, claims, now, handOver, warmHere } = deps;
  const known = new BoundedMap<string, { readonly isWarmed: boolean; readonly atMs: number }>(MAX_KNOWN);

  /** By what its consumer leaves in the store. */
  async function waitForConsumer(
    repository: Repository,
    onProgress: Parameters<Warm['warmRepository']>[1],
  ): Promise<WarmedRepository> {
    const startedAtMs = now();
    await handOver(repository);
    onProgress?.({ kind: 'waiting' });
    while (now() - startedAtMs < LONGEST_MS) {
      // oxlint-disable-next-line no-await-in-loop -- looks again
      const outcome = await readOutcome(storage, repository.key).catch(() => undefined);
      if (outcome !== undefined && outcome.endedAtMs >= startedAtMs) return resultOf(outcome);
      // oxlint-disable-next-line no-await-in-loop
      await sleep(LOOK_MS);
    }
    const error = 'the queue has not come to it';
    return { repo: repository.name, path: 'fetch', status: 'timeout', ms: now() - startedAtMs, error };
  }

  return {
    start: () => undefined,
    stop: () => Promise.resolve(),
    state: () => readReport(storage, now()),
    async isWarmed(repo) {
      const present = known.get(repo);
      if (present !== undefined && now() - present.atMs < KNOWN_MS) return present.isWarmed;
      const doneAtMs = await claims.doneAtMs(claimOf(repositoryOfName(repo, upstreams)));
      const isWarmed = doneAtMs !== undefined;
      known.set(repo, { isWarmed, atMs: now() });
      return isWarmed;
    },
    warmLater: handOver,
    warmRepository: warmHere ?? waitForConsumer,
  };
}
