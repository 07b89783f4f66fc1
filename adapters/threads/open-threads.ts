/** The pack threads that Node and Deno have, and the storage of who serves beside them. */
import { availableParallelism } from 'node:os';
import type { Config } from '../../src/config.ts';
import type { DriverStorage } from '../../src/storage/drivers/unstorage-driver.ts';
import { openCachedStorage, readCaching, storagePlace, type StoragePlace } from '../open-storage.ts';
import { createPackThreads, type PackThreadPool } from './pack-threads.ts';

const THREADS = 2;
/** Beside the one that serves. */
const MAX_SERVING_THREADS = 4;

export interface ServedStorage {
  readonly place: StoragePlace;
  readonly storage: DriverStorage;
  /** Absent where nobody else can see the storage, or there is no module for them. */
  readonly threads: PackThreadPool | undefined;
}

/** What a runtime has for threads. */
export interface ThreadsOptions {
  /** The threads' module; undefined: all is done in place. */
  readonly entry: URL | undefined;
  /** See `ReadingThread`. */
  readonly readsInPlace: boolean;
}

export async function openServedStorage(
  config: Config,
  { entry, readsInPlace }: ThreadsOptions,
): Promise<ServedStorage> {
  const place = storagePlace(config);
  if (place.kind === 'memory' || entry === undefined) {
    return { place, storage: await openCachedStorage(place, readCaching(config, 1)), threads: undefined };
  }
  const servingThreads = Math.max(1, Math.min(MAX_SERVING_THREADS, availableParallelism() - 1));
  const caching = readCaching(config, servingThreads + 1);
  const storage = await openCachedStorage(place, caching);
  const threads = createPackThreads({
    entry,
    storage: place,
    caching,
    readsInPlace,
    threads: THREADS,
    servingThreads,
  });
  return { place, storage, threads };
}
