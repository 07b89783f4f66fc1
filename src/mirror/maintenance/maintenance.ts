/**
 * What is done with a mirror's packs of itself, as background jobs in a lane of their own: beside whatever else is done with the
 * mirror, and behind everything that somebody waits for. Packs are merged when there are many, written anew when much of them is of
 * no use, and the largest of branches has a bitmap.
 */
import type { Manifest } from '../catalog/manifest.ts';
import type { MirrorContext } from '../services.ts';
import { BitmapJobs } from './bitmaps/bitmap-jobs.ts';
import { Consolidation } from './merging/consolidation.ts';
import { planMerge } from './merging/plan-merge.ts';
import { RepackJobs } from './repacking/repack-jobs.ts';
import { submitMaintenance } from './submit-maintenance.ts';

export class Maintenance {
  readonly #context: MirrorContext;
  readonly #consolidation: Consolidation;
  readonly #repacks: RepackJobs;
  readonly #bitmaps: BitmapJobs;
  #lastLook: Promise<void> = Promise.resolve();

  constructor(context: MirrorContext) {
    this.#context = context;
    this.#consolidation = new Consolidation(context);
    this.#repacks = new RepackJobs(context);
    this.#bitmaps = new BitmapJobs(context);
  }

  /** Makes the packs fewer at once: there are too many for another. Rejects where that cannot be done. */
  makeRoom(signal: AbortSignal): Promise<void> {
    return this.#consolidation.makeRoom(signal);
  }

  /** To be called with the packs that there are where they came or went. */
  packsChanged(packs: Manifest['packs']): void {
    if (planMerge(packs) === undefined) return;
    const merged = submitMaintenance(this.#context, 'maintenance', (signal) => this.#consolidation.run(signal));
    const seen = merged.then(() => this.#inTurn(() => this.#bitmaps.see()));
    this.#context.services.keepAlive?.(seen);
  }

  /** To be called where refs or packs may have changed. Resolves when what is due has been done. Never rejects. */
  see(): Promise<void> {
    return this.#inTurn(async () => {
      await this.#repacks.see();
      await this.#bitmaps.see();
    });
  }

  /** One look after the other: who looked while a job ran would join it, and it began before what he has seen. */
  #inTurn(look: () => Promise<void>): Promise<void> {
    this.#lastLook = this.#lastLook.then(look);
    return this.#lastLook;
  }
}
