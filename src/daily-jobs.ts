/** What is done for the whole store now and then, by one of those who share it, on every runtime alike. */
import type { PeriodicJob } from './jobs/periodic.ts';
import { removeAbandonedJob } from './jobs/remove-abandoned.ts';
import { tidyMirrorsJob } from './mirror/maintenance/tidy-mirrors.ts';
import type { Popularity } from './popularity/contract.ts';
import type { Storage } from './storage/contract.ts';
import type { Logger } from './telemetry/logger.ts';

const DAY_MS = 86_400_000;

export interface DailyDeps {
  readonly storage: Storage;
  readonly popularity: Pick<Popularity, 'tidy'>;
  readonly now: () => number;
  readonly logger: Logger;
}

export function dailyJobs({ storage, popularity, now, logger }: DailyDeps): readonly PeriodicJob[] {
  const tidyCounts: PeriodicJob = {
    name: 'tidy-counts',
    intervalMs: DAY_MS,
    runsAtStart: false,
    async run(signal) {
      await popularity.tidy(signal);
      return 'done';
    },
  };
  const removeAbandoned = removeAbandonedJob(storage, now);
  return [
    tidyMirrorsJob({ storage, now, logger }),
    tidyCounts,
    ...(removeAbandoned === undefined ? [] : [removeAbandoned]),
  ];
}
