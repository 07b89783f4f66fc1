/**
 * Reads and swaps one mirror's manifest. Of writers that race, in this process or another, one wins and the others look
 * again at what won; claims may save double work, but nothing here depends on them.
 */
import { HotpackError } from '../../bytes/error.ts';
import type { Storage } from '../../storage/contract.ts';
import type { Manifest } from './manifest.ts';
import { parseManifest, writeManifest } from './manifest.ts';

const MAX_TRIES = 20;

export class Catalog {
  readonly #storage: Storage;
  readonly #key: string;

  constructor(storage: Storage, manifestKey: string) {
    this.#storage = storage;
    this.#key = manifestKey;
  }

  async read(signal?: AbortSignal): Promise<Manifest | undefined> {
    const found = await this.#storage.readDocument(this.#key, signal);
    return found.kind === 'absent' ? undefined : parseManifest(found.bytes);
  }

  /**
   * Replaces the manifest by `edit` of it. `edit` is called again with the manifest that won whenever a swap is lost, so
   * it must check there anew whatever it relies on. Where it returns undefined nothing is replaced.
   */
  async swap(
    edit: (current: Manifest | undefined) => Manifest | undefined,
    signal?: AbortSignal,
  ): Promise<Manifest | undefined> {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      // oxlint-disable-next-line no-await-in-loop -- each try starts from what the last one lost to
      const found = await this.#storage.readDocument(this.#key, signal);
      const next = edit(found.kind === 'absent' ? undefined : parseManifest(found.bytes));
      if (next === undefined) return undefined;
      const expected = found.kind === 'absent' ? 'absent' : found.version;
      // oxlint-disable-next-line no-await-in-loop
      const outcome = await this.#storage.replaceDocument(this.#key, writeManifest(next), expected, signal);
      if (outcome.kind === 'replaced') return next;
    }
    throw new HotpackError('storage_unavailable', 'the manifest changed at every try to replace it', {
      detail: { tries: MAX_TRIES },
    });
  }
}
