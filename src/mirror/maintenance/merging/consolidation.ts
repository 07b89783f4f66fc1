/**
 * Keeps a mirror's packs few, by merging some of them (`plan-merge.ts`) in the pack threads. Readers and publications go on
 * meanwhile: sources stay at rest for a day, what was built on them counts as built on the merged pack, and where somebody
 * else was faster the work is dropped. Killed at any moment it leaves an orphan at most, and is begun again.
 *
 * In one process one merge of a mirror runs at a time; who needs room joins it.
 */
import { raceSignal, throwIfAborted } from '../../../bytes/abort.ts';
import { HotpackError, isHotpackError } from '../../../bytes/error.ts';
import type { PackRecord } from '../../catalog/manifest.ts';
import { newPackName, noChunks, recordOf, runPackWork } from '../../ingest/pack-work.ts';
import type { MirrorContext } from '../../services.ts';
import type { MergeParams } from '../../tasks.ts';
import { planMerge, planRoom } from './plan-merge.ts';

type Plan = typeof planMerge;

export class Consolidation {
  readonly #context: MirrorContext;
  #running: Promise<unknown> | undefined;

  constructor(context: MirrorContext) {
    this.#context = context;
  }

  /** Merges until the packs are few. Returns how often it merged. */
  async run(signal: AbortSignal): Promise<number> {
    for (let merges = 0; ; merges++) {
      // oxlint-disable-next-line no-await-in-loop -- each merge starts from what the last one left
      if (!(await this.#step(planMerge, signal))) return merges;
    }
  }

  /** Makes the packs fewer by one at least, whoever does it. */
  async makeRoom(signal: AbortSignal): Promise<void> {
    if (!(await this.#step(planRoom, signal))) {
      throw new HotpackError('limit_exceeded', 'a mirror has too many packs, and none of them can be merged');
    }
  }

  /** False where nothing is planned. Of what runs already the end is awaited instead. */
  async #step(plan: Plan, signal: AbortSignal): Promise<boolean> {
    throwIfAborted(signal);
    const before = this.#running;
    if (before !== undefined) {
      await raceSignal(
        before.catch(() => undefined),
        signal,
      );
      return true;
    }
    const merging = this.#mergeOnce(plan, signal);
    this.#running = merging;
    try {
      return await merging;
    } finally {
      this.#running = undefined;
    }
  }

  async #mergeOnce(plan: Plan, signal: AbortSignal): Promise<boolean> {
    const { copy } = this.#context;
    const manifest = await copy.readManifest(signal);
    const sources = plan(manifest?.packs ?? []);
    if (sources === undefined) return false;
    try {
      const merged = await this.#merge(sources, sources[0] !== manifest?.packs[0], signal);
      await copy.replace({ sources: sources.map((pack) => pack.name), merged });
    } catch (error) {
      // A medium that loses bits: what is left of the mirror is no use to anybody.
      if (isHotpackError(error, 'malformed_pack')) await copy.discard(error);
      throw error;
    }
    return true;
  }

  async #merge(sources: readonly PackRecord[], keepsTail: boolean, signal: AbortSignal): Promise<PackRecord> {
    const { copy, services, repository } = this.#context;
    const task: MergeParams = {
      kind: 'merge',
      packFolder: copy.keys.packFolder,
      packName: newPackName(),
      sources: sources.map(({ name, tailOffset }) => ({ name, tailOffset })),
      keepsTail,
    };
    const written = await runPackWork(services, task, noChunks(), signal);
    const pushes = sources.reduce((sum, pack) => sum + pack.pushes, 0);
    const merged = recordOf(written, { class: sources[0]?.class ?? 'branches', pushes });
    services.logger.debug('packs_merged', { repo: repository.name, packs: sources.length, bytes: merged.packBytes });
    return merged;
  }
}
