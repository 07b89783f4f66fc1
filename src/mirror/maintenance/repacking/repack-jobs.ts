/**
 * When a mirror's packs are weighed, and written anew where much of them is of no use: in the background, behind everything else,
 * once something was let go that nobody has asked for within the hour. What has been weighed is not weighed again before packs,
 * refs or what was let go are others; and as weighing may mean a walk through all of a history, what led to nothing is not tried again
 * sooner than fifty times what it took.
 */
import { isHotpackError } from '../../../bytes/error.ts';
import type { RefsSnapshot } from '../../../protocol/refs-snapshot.ts';
import type { Manifest } from '../../catalog/manifest.ts';
import { sameRefs } from '../../refs/tips.ts';
import { isYoung } from '../../fetching/servable.ts';
import type { MirrorContext } from '../../services.ts';
import { submitMaintenance } from '../submit-maintenance.ts';
import { repackMirror, type RepackOutcome } from './repack.ts';

const REST_FACTOR = 50;

export class RepackJobs {
  readonly #context: MirrorContext;
  /** What there was when a job was last begun. */
  #weighed: { readonly state: string; readonly held: RefsSnapshot } | undefined;
  #notBeforeMs = Number.NEGATIVE_INFINITY;

  constructor(context: MirrorContext) {
    this.#context = context;
  }

  /** To be called where refs may have changed. Resolves when the job that is due, if one is, has ended. Never rejects. */
  async see(): Promise<void> {
    const { copy, services } = this.#context;
    const { now } = services;
    const snapshot = await copy.snapshot().catch(() => undefined);
    if (snapshot === undefined) return;
    const { manifest, held } = snapshot;
    snapshot.release();
    const startedAtMs = now();
    if (startedAtMs < this.#notBeforeMs || manifest.strays.every((stray) => isYoung(stray, startedAtMs))) return;
    const state = stateOf(manifest, startedAtMs);
    if (state === this.#weighed?.state && sameRefs(held, this.#weighed.held)) return;
    this.#weighed = { state, held };
    const outcome = await submitMaintenance(this.#context, 'repack', (signal) => this.#run(signal));
    if (outcome.kind === 'done' && outcome.value === 'repacked') return;
    this.#notBeforeMs = now() + REST_FACTOR * (now() - startedAtMs);
    // Somebody else was faster, or it was cut off: what there is then has not been weighed.
    if (outcome.kind === 'aborted' || (outcome.kind === 'done' && outcome.value === 'lost')) this.#weighed = undefined;
  }

  async #run(signal: AbortSignal): Promise<RepackOutcome> {
    try {
      return await repackMirror(this.#context, signal);
    } catch (error) {
      // A medium that loses bits: what is left of the mirror is no use to anybody.
      if (isHotpackError(error, 'malformed_pack')) await this.#context.copy.discard(error);
      throw error;
    }
  }
}

function stateOf({ packs, strays }: Manifest, nowMs: number): string {
  return JSON.stringify([packs.map((pack) => pack.name), strays.map((stray) => [stray.oid, isYoung(stray, nowMs)])]);
}
