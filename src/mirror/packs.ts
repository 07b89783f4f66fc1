/**
 * Opens packs of a mirror as one object store: idx and rev files are read whole (28 + 4 bytes an object), packs by ranges.
 */
import { HotpackError } from '../bytes/error.ts';
import type { ObjectStore } from '../pack/object-store.ts';
import { openObjectStore } from '../pack/reading/open-object-store.ts';
import type { PackedObjects, OpenedPack } from '../pack/reading/packed-objects.ts';
import { PackTable } from '../pack/reading/pack-table.ts';
import type { Storage, StorageReader } from '../storage/contract.ts';
import { packKeys } from './keys.ts';
import type { PackTables } from './pack-tables.ts';

/** An idx of 100 million objects; above it git itself would be at its end. */
const MAX_INDEX_BYTES = 3_300_000_000;

export interface OpenPacks {
  readonly store: ObjectStore & PackedObjects;
  close(): Promise<void>;
}

/** Rejects with `missing_object` where a file of a pack is not there. */
export async function openPacks(
  storage: Storage,
  packs: {
    readonly folder: string;
    readonly names: readonly string[];
    readonly cacheBytes: number;
    readonly tables?: PackTables | undefined;
  },
  signal?: AbortSignal,
): Promise<OpenPacks> {
  const readers: StorageReader[] = [];
  const close = async (): Promise<void> => {
    await Promise.allSettled(readers.map((reader) => reader.close()));
  };
  try {
    const sources = await Promise.all(
      packs.names.map(async (name): Promise<OpenedPack> => {
        const keys = packKeys(packs.folder, name);
        const known = await packs.tables?.get(name, signal);
        if (known !== undefined) {
          const pack = await storage.open(keys.pack, signal);
          if (pack.kind === 'absent') throw missingPack(name);
          readers.push(pack);
          return { pack, table: known };
        }
        const [pack, idx, rev] = await Promise.all([
          storage.open(keys.pack, signal),
          storage.readAll(keys.idx, MAX_INDEX_BYTES, signal),
          storage.readAll(keys.rev, MAX_INDEX_BYTES, signal),
        ]);
        if (pack.kind === 'reader') readers.push(pack);
        if (pack.kind === 'absent' || idx.kind === 'absent') {
          throw missingPack(name);
        }
        const source = { name, pack, idx: idx.bytes, rev: rev.kind === 'absent' ? undefined : rev.bytes };
        return packs.tables === undefined ? source : { pack, table: packs.tables.keep(new PackTable(source)) };
      }),
    );
    const store = openObjectStore({ packs: sources, cacheBytes: packs.cacheBytes });
    return {
      store,
      async close() {
        store.close();
        await close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function missingPack(name: string): HotpackError {
  return new HotpackError('missing_object', 'a pack that the manifest names is not there', { detail: { pack: name } });
}
