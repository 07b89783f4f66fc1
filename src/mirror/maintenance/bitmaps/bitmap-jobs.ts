/**
 * When a mirror's bitmap is made: once for each pack that comes to be the largest of its class, in the background, beside whatever else is
 * done with the mirror. What failed is tried again by the next process, or for the next pack.
 */
import type { Job } from '../../../jobs/job.ts';
import { bitmappedPack } from '../../../pack/bitmap/load-bitmaps.ts';
import { ofBranches } from '../../catalog/manifest.ts';
import type { MirrorContext } from '../../services.ts';
import { submitJob } from '../../services.ts';
import { writeBitmap, type BitmapOutcome } from './write-bitmap.ts';

export class BitmapJobs {
  readonly #context: MirrorContext;
  /** The pack that was the largest when a job was last begun. */
  #doneFor: string | undefined;

  constructor(context: MirrorContext) {
    this.#context = context;
  }

  /** To be called where packs may have changed. Resolves when the job that is due, if one is, has ended. Never rejects. */
  async see(): Promise<void> {
    const { copy, services, repository } = this.#context;
    const { jobs, logger, now } = services;
    const repo = repository.name;
    const snapshot = await copy.snapshot().catch(() => undefined);
    if (snapshot === undefined) return;
    const { packs } = snapshot.manifest;
    snapshot.release();
    const largest = packs[bitmappedPack(ofBranches(packs))]?.name;
    if (largest === undefined || largest === this.#doneFor) return;
    this.#doneFor = largest;
    if (services.bitmapReads?.tooMany.get(largest) === true) return;
    const startedAtMs = now();
    const job: Job<BitmapOutcome> = {
      kind: 'maintenance',
      repo,
      lane: 'maintenance',
      key: `bitmap:${repo}`,
      priority: 'background',
      abandonWhenUnwatched: false,
      run: (signal) => writeBitmap(this.#context, signal),
    };
    const outcome = await submitJob(jobs, job).done;
    if (outcome.kind === 'failed') logger.warn('job_failed', { kind: 'bitmap', repo, error: outcome.error });
    else if (outcome.kind === 'done')
      logger.debug('bitmap_made', { repo, outcome: outcome.value, ms: now() - startedAtMs });
  }
}
