/**
 * When a mirror's bitmap is made: once for each pack that comes to be the largest of its class, in the background, beside whatever else is
 * done with the mirror. What failed is tried again by the next process, or for the next pack.
 */
import { bitmappedPack } from '../../../pack/bitmap/load-bitmaps.ts';
import { ofBranches } from '../../catalog/manifest.ts';
import type { MirrorContext } from '../../services.ts';
import { submitMaintenance } from '../submit-maintenance.ts';
import { writeBitmap } from './write-bitmap.ts';

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
    const { logger, now } = services;
    const snapshot = await copy.snapshot().catch(() => undefined);
    if (snapshot === undefined) return;
    const { packs } = snapshot.manifest;
    snapshot.release();
    const largest = packs[bitmappedPack(ofBranches(packs))]?.name;
    if (largest === undefined || largest === this.#doneFor) return;
    this.#doneFor = largest;
    if (services.bitmapReads?.tooMany.get(largest) === true) return;
    const startedAtMs = now();
    const outcome = await submitMaintenance(this.#context, 'bitmap', (signal) => writeBitmap(this.#context, signal));
    if (outcome.kind !== 'done') return;
    logger.debug('bitmap_made', { repo: repository.name, outcome: outcome.value, ms: now() - startedAtMs });
  }
}
