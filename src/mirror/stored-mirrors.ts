/**
 * How many mirrors lie in the store and how many bytes they take, for the gauges: counted by listing, so that restarts and
 * other processes change nothing about its truth. Counted anew after what this process changed, else once a minute for what
 * others did; but as a listing costs a request for each 1,000 keys, never sooner than a hundred times what the last one
 * took. Who asks waits for it a little, then gets the count of before.
 */
import { sleep } from '../bytes/abort.ts';
import type { Storage } from '../storage/contract.ts';
import { listObjects } from '../storage/listing.ts';

export interface StoredCount {
  readonly mirrors: number;
  readonly bytes: number;
}

const EVERY_MS = 60_000;
const REST_FACTOR = 100;
const WAIT_MS = 1_000;
const MANIFEST = '/hotpack/manifest';

export class StoredMirrors {
  readonly #storage: Storage;
  readonly #now: () => number;
  readonly #sharesCounts: boolean;
  #last: StoredCount | undefined;
  #notBeforeMs = Number.NEGATIVE_INFINITY;
  #dueAtMs = Number.NEGATIVE_INFINITY;
  #counting: Promise<void> | undefined;

  /** `sharesCounts`: false where who asks must not wait for a count that another one began. */
  constructor(storage: Storage, now: () => number, options: { readonly sharesCounts: boolean }) {
    this.#storage = storage;
    this.#now = now;
    this.#sharesCounts = options.sharesCounts;
  }

  /** To be called where a mirror was changed. */
  changed(): void {
    this.#dueAtMs = this.#notBeforeMs;
  }

  /** Undefined where the store could not be listed yet. Never rejects. */
  async count(): Promise<StoredCount | undefined> {
    if (!this.#sharesCounts) {
      if (this.#now() >= this.#dueAtMs) await this.#count();
      return this.#last;
    }
    if (this.#counting === undefined && this.#now() >= this.#dueAtMs) {
      this.#counting = this.#count().finally(() => (this.#counting = undefined));
    }
    if (this.#counting !== undefined) {
      const timer = new AbortController();
      const late = sleep(WAIT_MS, timer.signal).catch(() => undefined);
      await Promise.race([this.#counting, late]);
      timer.abort();
    }
    return this.#last;
  }

  async #count(): Promise<void> {
    const startedAtMs = this.#now();
    this.#dueAtMs = Number.POSITIVE_INFINITY;
    try {
      this.#last = await countStored(this.#storage);
    } catch {
      // The count of before is the best there is; whether storage answers is what the readiness probe tells.
    }
    const endedAtMs = this.#now();
    this.#notBeforeMs = endedAtMs + REST_FACTOR * (endedAtMs - startedAtMs);
    const isChanged = this.#dueAtMs < Number.POSITIVE_INFINITY;
    this.#dueAtMs = isChanged ? this.#notBeforeMs : Math.max(this.#notBeforeMs, endedAtMs + EVERY_MS);
  }
}

async function countStored(storage: Storage): Promise<StoredCount> {
  let mirrors = 0;
  let bytes = 0;
  for await (const { key, bytes: length } of listObjects(storage, 'mirrors/')) {
    bytes += length;
    if (key.endsWith(MANIFEST)) mirrors++;
  }
  return { mirrors, bytes };
}
