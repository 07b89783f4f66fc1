/**
 * Where work on the packs of a mirror is done: in the platform's threads, each of which opens the packs for itself with the tables
 * that are here already, or in place where there are none.
 */
import { openObjectStore } from '../../pack/reading/open-object-store.ts';
import { PackTable } from '../../pack/reading/pack-table.ts';
import { createWorkInPlace } from '../../pack/work/work-in-place.ts';
import type { Storage, StorageWriter } from '../../storage/contract.ts';
import { packKeys } from '../keys.ts';
import type { OpenStoreWork, PackThreads, StorePlace } from '../tasks.ts';
import { bitmapSource, missingPack, type OpenPacks } from './packs.ts';

/** Of what a mirror may cache, where threads work on it: the rest is theirs. */
export const OWN_CACHE_SHARE: number = 1 / 8;

/** Of packs that are open here. */
export function workOn(
  storage: Storage,
  packs: Pick<OpenPacks, 'store' | 'sources'>,
  place: Omit<StorePlace, 'tables'> & { readonly threads: PackThreads | undefined },
): OpenStoreWork {
  const { threads, packFolder, closedPacks, cacheBytes } = place;
  if (threads !== undefined) {
    const tables = packs.sources.map(({ table }) => table.parts);
    return threads.openStore({ packFolder, closedPacks, cacheBytes, tables });
  }
  const work = createWorkInPlace(packs.store, { openScratch: () => openScratch(storage, packFolder) });
  return Object.assign(work, { close: async () => undefined });
}

/** What a thread does where it is asked for the first time. Rejects with `missing_object` where a pack is not there any more. */
export async function openStoreWork(storage: Storage, place: StorePlace): Promise<OpenStoreWork> {
  const { packFolder, closedPacks, cacheBytes, tables } = place;
  const opening = tables.map(async (parts) => {
    const pack = await storage.open(packKeys(packFolder, parts.name).pack);
    if (pack.kind === 'absent') throw missingPack(parts.name);
    return { pack, table: new PackTable(parts) };
  });
  const opened = await Promise.allSettled(opening);
  const packs = opened.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const closePacks = async (): Promise<void> => {
    await Promise.allSettled(packs.map(({ pack }) => pack.close()));
  };
  const failed = opened.find((one) => one.status === 'rejected');
  if (failed !== undefined) {
    await closePacks();
    throw failed.reason;
  }
  const store = openObjectStore({ packs, cacheBytes, bitmap: bitmapSource(storage, packFolder, closedPacks) });
  const work = createWorkInPlace(store, { openScratch: () => openScratch(storage, packFolder) });
  return Object.assign(work, {
    async close() {
      store.close();
      await closePacks();
    },
  });
}

/** Room for an object too large for memory; to be aborted after use. */
function openScratch(storage: Storage, packFolder: string): Promise<StorageWriter> {
  return storage.openWriter(`${packFolder}/scratch-${crypto.randomUUID()}`);
}
