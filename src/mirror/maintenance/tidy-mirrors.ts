/** Goes through all mirrors of the store: orphans are listed, and what was listed long enough ago is removed. */
import type { PeriodicJob } from '../../jobs/periodic.ts';
import type { Storage } from '../../storage/contract.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { throwIfAborted } from '../../bytes/abort.ts';
import { Catalog } from '../catalog/catalog.ts';
import { mirrorKeysOfRoot } from '../keys.ts';
import { listOrphans, removeGarbage } from './garbage.ts';
import { surveyMirrors } from './space/survey.ts';

const EVERY_MS = 6 * 60 * 60 * 1000;

export interface TidyDeps {
  readonly storage: Storage;
  readonly now: () => number;
  readonly logger: Logger;
}

/** Every few hours, by one of those who share the store. */
export function tidyMirrorsJob(deps: TidyDeps): PeriodicJob {
  return {
    name: 'tidy-mirrors',
    intervalMs: EVERY_MS,
    runsAtStart: false,
    async run(signal) {
      await tidyMirrors(deps, signal);
      return 'done';
    },
  };
}

/** What one mirror meets stops no other. Rejects where the store cannot be listed, and with `aborted`. */
export async function tidyMirrors(deps: TidyDeps, signal: AbortSignal): Promise<void> {
  const { storage, now, logger } = deps;
  let removed = 0;
  for await (const { root, packs } of surveyMirrors(storage, signal)) {
    const { manifest, packFolder } = mirrorKeysOfRoot(root);
    const place = { storage, now, packFolder, catalog: new Catalog(storage, manifest) };
    try {
      await listOrphans(place, packs, signal);
      removed += await removeGarbage(place, signal);
    } catch (error) {
      throwIfAborted(signal);
      logger.warn('storage_failed', { mirror: root, error });
    }
  }
  if (removed > 0) logger.info('packs_removed', { packs: removed });
}
