/** Once a day one of the instances removes from the store what killed ones left in the making. */
import type { Storage } from '../storage/contract.ts';
import type { PeriodicJob } from './periodic.ts';

const DAY_MS = 86_400_000;

/** Undefined where the store sees to that itself. */
export function removeAbandonedJob(storage: Storage, now: () => number): PeriodicJob | undefined {
  if (storage.removeAbandoned === undefined) return undefined;
  return {
    name: 'remove-abandoned',
    intervalMs: DAY_MS,
    runsAtStart: false,
    async run(signal) {
      await storage.removeAbandoned?.(now(), signal);
      return 'done';
    },
  };
}
