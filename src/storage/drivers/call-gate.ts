/**
 * What every call of a driver begins and ends with: its key is one, its signal has not fired, the store is open; what fails is told as
 * the store's failure. Writers that are open end with the store.
 */
import { throwIfAborted } from '../../bytes/abort.ts';
import { HotpackError } from '../../bytes/error.ts';
import type { StorageWriter } from '../contract.ts';
import { assertKey } from '../key.ts';

export class CallGate {
  /** To be added when one is opened, removed when it has ended. */
  readonly writers: Set<StorageWriter> = new Set();
  readonly #toStorageError: (key: string, error: unknown) => HotpackError;
  #isClosed = false;

  /** `toStorageError`: from what the medium says to the family's errors. */
  constructor(toStorageError: (key: string, error: unknown) => HotpackError) {
    this.#toStorageError = toStorageError;
  }

  /** The signal keeps `work` from beginning; ending it is up to `work`. */
  async run<T>(key: string, signal: AbortSignal | undefined, work: () => Promise<T> | T): Promise<T> {
    assertKey(key);
    this.assertOpen(signal);
    try {
      return await work();
    } catch (error) {
      throw this.#toStorageError(key, error);
    }
  }

  /** Throws `aborted`, or `storage_unavailable` once the store is closed. */
  assertOpen(signal?: AbortSignal): void {
    throwIfAborted(signal);
    if (this.#isClosed) throw new HotpackError('storage_unavailable', 'the store is closed');
  }

  /** Aborts what writes. False where it was closed before. */
  async close(): Promise<boolean> {
    if (this.#isClosed) return false;
    this.#isClosed = true;
    await Promise.all([...this.writers].map((writer) => writer.abort()));
    return true;
  }
}
