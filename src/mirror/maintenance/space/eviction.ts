/**
 * Keeps mirrors within `maxBytes`: where they take more, the least recently used go until they take a tenth less. One that is in
 * use in this process never goes. What is used elsewhere is known to the hour, by a file that is written when a mirror is
 * used; so nothing is lost by a restart.
 *
 * Looks when told that something was stored, but as a look lists the store, never sooner than twenty times what the last one
 * took. Memory: an entry for each mirror while it looks.
 */
import { sleep, throwIfAborted } from '../../../bytes/abort.ts';
import type { Storage } from '../../../storage/contract.ts';
import type { Logger } from '../../../telemetry/logger.ts';
import type { Metrics } from '../../../telemetry/metrics.ts';
import type { Mirror } from '../../mirror.ts';
import { surveyMirrors, type SurveyedMirror } from './survey.ts';
import { evictMirror } from './evict-mirror.ts';
import { mirrorKeysOfRoot } from '../../keys.ts';

const REST_FACTOR = 20;
/** Until mirrors are looked at again that were in use when they should have gone. */
const AGAIN_MS = 1_000;
/** Of the limit: so that not every further byte costs another look. */
export const EVICTED_DOWN_TO = 0.9;

export interface EvictionDeps {
  readonly storage: Storage;
  /** Undefined: no limit. */
  readonly maxBytes: () => Promise<number | undefined>;
  /** The mirrors that this process knows, by `MirrorKeys.root`. */
  readonly known: () => ReadonlyMap<string, Pick<Mirror, 'evict' | 'usedAtMs'>>;
  readonly onEvicted: () => void;
  readonly now: () => number;
  readonly logger: Logger;
  readonly metrics: Pick<Metrics, 'evictions'>;
}

export class Eviction {
  readonly #deps: EvictionDeps;
  readonly #ending = new AbortController();
  #looking: Promise<void> | undefined;
  #isChanged = false;
  #notBeforeMs = Number.NEGATIVE_INFINITY;

  constructor(deps: EvictionDeps) {
    this.#deps = deps;
  }

  /** To be called where something was stored. */
  changed(): void {
    this.#isChanged = true;
    if (this.#ending.signal.aborted) return;
    this.#looking ??= this.#lookWhileChanged().finally(() => (this.#looking = undefined));
  }

  async stop(): Promise<void> {
    this.#ending.abort();
    await this.#looking;
  }

  async #lookWhileChanged(): Promise<void> {
    const { now, logger } = this.#deps;
    const { signal } = this.#ending;
    try {
      while (this.#isChanged) {
        const restMs = this.#notBeforeMs - now();
        // oxlint-disable-next-line no-await-in-loop -- one look after the other
        if (restMs > 0) await sleep(restMs, signal);
        this.#isChanged = false;
        const startedAtMs = now();
        // oxlint-disable-next-line no-await-in-loop
        const outcome = await evictDown(this.#deps, signal);
        const restsMs = REST_FACTOR * (now() - startedAtMs);
        // Nobody tells when one is not in use any more.
        if (outcome === 'in_use') this.#isChanged = true;
        this.#notBeforeMs = now() + (outcome === 'in_use' ? Math.max(restsMs, AGAIN_MS) : restsMs);
      }
    } catch (error) {
      if (!signal.aborted) logger.warn('storage_failed', { job: 'eviction', error });
    }
  }
}

/** `in_use`: mirrors take too much still, and of those that would go some are in use. Rejects where the store fails, and with `aborted`. */
export async function evictDown(deps: EvictionDeps, signal: AbortSignal): Promise<'within' | 'in_use'> {
  const { storage, now, logger } = deps;
  const maxBytes = await deps.maxBytes();
  if (maxBytes === undefined) return 'within';
  const mirrors: SurveyedMirror[] = [];
  for await (const mirror of surveyMirrors(storage, signal)) mirrors.push(mirror);
  let bytes = mirrors.reduce((sum, mirror) => sum + mirror.bytes, 0);
  if (bytes <= maxBytes) return 'within';
  const mirrorAt = deps.known();
  for (const mirror of inOrderOfUse(mirrors, mirrorAt)) {
    if (bytes <= maxBytes * EVICTED_DOWN_TO) return 'within';
    throwIfAborted(signal);
    const known = mirrorAt.get(mirror.root);
    if (known === undefined) {
      // oxlint-disable-next-line no-await-in-loop -- looks at what is left after each
      await evictMirror(storage, mirrorKeysOfRoot(mirror.root), { now, signal });
    } else {
      // oxlint-disable-next-line no-await-in-loop
      if (!(await known.evict())) continue;
    }
    bytes -= mirror.bytes;
    deps.metrics.evictions.add({ what: 'mirrors' });
    deps.onEvicted();
    logger.info('mirror_evicted', { mirror: mirror.root, bytes: mirror.bytes });
  }
  return bytes <= maxBytes ? 'within' : 'in_use';
}

/** The least recently used first; what this process knows of their use counts too. */
export function inOrderOfUse(
  mirrors: readonly SurveyedMirror[],
  known: ReadonlyMap<string, Pick<Mirror, 'usedAtMs'>>,
): readonly SurveyedMirror[] {
  return mirrors
    .map((mirror) => ({ ...mirror, usedAtMs: Math.max(mirror.usedAtMs, known.get(mirror.root)?.usedAtMs ?? 0) }))
    .toSorted((left, right) => left.usedAtMs - right.usedAtMs);
}
