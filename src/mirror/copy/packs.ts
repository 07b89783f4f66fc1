/**
 * Packs of a mirror at rest. They are opened with idx and rev files read whole (28 + 4 bytes an object), packs by ranges, and
 * together make one object store.
 */
import { throwIfAborted } from '../../bytes/abort.ts';
import { HotpackError } from '../../bytes/error.ts';
import type { BitmapSource } from '../../pack/bitmap/load-bitmaps.ts';
import type { ObjectStore } from '../../pack/object-store.ts';
import { openObjectStore } from '../../pack/reading/open-object-store.ts';
import type { OpenedPack, PackedObjects } from '../../pack/reading/packed-objects.ts';
import { PackTable } from '../../pack/reading/pack-table.ts';
import type { Storage, StorageReader, StorageWriter } from '../../storage/contract.ts';
import { packKeys } from '../keys.ts';
import type { PackTables } from './pack-tables.ts';
import type { WrittenPack } from '../tasks.ts';

/** An idx of 100 million objects; above it git itself would be at its end. */
const MAX_INDEX_BYTES = 3_300_000_000;
/** Far above what we write; git's may be larger, and are of use to git. */
const MAX_BITMAP_BYTES = 256 * 1024 * 1024;

export interface PackNames {
  /** `MirrorKeys.packFolder`. */
  readonly folder: string;
  /** In manifest order. */
  readonly names: readonly string[];
  /** How many of them, the first ones, are of class `branches`: one of these may have a bitmap. Default: all. */
  readonly closedPacks?: number;
  readonly tables?: PackTables | undefined;
  /** Tables are made to be handed to other threads. */
  readonly sharesTables?: boolean;
}

/** With its table, which whoever reads the same packs in another way shares. */
export type OpenPack = Extract<OpenedPack, { readonly table: PackTable }>;

export interface OpenPacks {
  readonly store: ObjectStore & PackedObjects;
  readonly sources: readonly OpenPack[];
  readonly close: () => Promise<void>;
}

/** Rejects with `missing_object` where a file of a pack is not there. */
export async function openPacks(
  storage: Storage,
  packs: PackNames & { readonly cacheBytes: number },
  signal?: AbortSignal,
): Promise<OpenPacks> {
  const { sources, close } = await openPackSources(storage, packs, signal);
  try {
    const store = openObjectStore({
      packs: sources,
      cacheBytes: packs.cacheBytes,
      bitmap: bitmapSource(storage, packs.folder, packs.closedPacks ?? sources.length),
    });
    return {
      store,
      sources,
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

/** Bitmaps lie beside their packs; one of the first `closedPacks` may have one. */
export function bitmapSource(storage: Storage, folder: string, closedPacks: number): BitmapSource {
  return {
    closedPacks,
    async read(name) {
      const found = await storage.readAll(packKeys(folder, name).bitmap, MAX_BITMAP_BYTES);
      return found.kind === 'absent' ? undefined : found.bytes;
    },
  };
}

/** Rejects with `missing_object` where a file of a pack is not there; then nothing stays open. */
export async function openPackSources(
  storage: Storage,
  packs: PackNames,
  signal?: AbortSignal,
): Promise<{ readonly sources: readonly OpenPack[]; readonly close: () => Promise<void> }> {
  const readers: StorageReader[] = [];
  const close = async (): Promise<void> => {
    await Promise.allSettled(readers.map((reader) => reader.close()));
  };
  const openPack = async (name: string): Promise<OpenPack> => {
    const keys = packKeys(packs.folder, name);
    const known = await packs.tables?.get(name, signal);
    const pack = await storage.open(keys.pack, signal);
    if (pack.kind === 'absent') throw missingPack(name);
    readers.push(pack);
    if (known !== undefined) return { pack, table: known };
    const [idx, rev] = await Promise.all([
      storage.readAll(keys.idx, MAX_INDEX_BYTES, signal),
      storage.readAll(keys.rev, MAX_INDEX_BYTES, signal),
    ]);
    if (idx.kind === 'absent') throw missingPack(name);
    const source = { name, pack, idx: idx.bytes, rev: rev.kind === 'absent' ? undefined : rev.bytes };
    const own = new PackTable(source);
    const table = packs.sharesTables === true ? own.share() : own;
    return { pack, table: packs.tables?.keep(table) ?? table };
  };
  // All of them have ended before any is closed: one that opens late would stay open.
  const opened = await Promise.allSettled(packs.names.map(openPack));
  const sources: OpenPack[] = [];
  for (const one of opened) {
    if (one.status === 'fulfilled') {
      sources.push(one.value);
      continue;
    }
    await close();
    throw one.reason;
  }
  return { sources, close };
}

/** A pack whose bytes were written, with what goes beside it. */
export type FinishedPack = Omit<WrittenPack, 'kind' | 'packName'> & {
  readonly rev: Uint8Array;
  /** To be taken once. */
  readonly idx: Uint8Array | Iterable<Uint8Array>;
};

/**
 * A pack comes to rest under a name that no manifest knows yet: `write` is given its writer, then pack, rev and idx appear, in this
 * order. Where `write` gives undefined, and whatever fails, nothing is left; what a killed process leaves is an orphan.
 */
export async function putPack<T extends FinishedPack | undefined>(
  storage: Storage,
  place: { readonly packFolder: string; readonly packName: string },
  write: (writer: StorageWriter) => Promise<T>,
  signal: AbortSignal,
): Promise<WrittenPack | Extract<T, undefined>> {
  const { packFolder, packName } = place;
  const keys = packKeys(packFolder, packName);
  const writer = await storage.openWriter(keys.pack, signal);
  try {
    const finished = await write(writer);
    if (finished === undefined) {
      await writer.abort();
      return finished as Extract<T, undefined>;
    }
    await writer.commit();
    const { rev, idx, checksum, objects, packBytes, tailOffset, tailObjects } = finished;
    await storage.put(keys.rev, rev, signal);
    if (idx instanceof Uint8Array) await storage.put(keys.idx, idx, signal);
    else await writePieces(storage, keys.idx, idx, signal);
    return { kind: 'written', packName, checksum, objects, packBytes, tailOffset, tailObjects };
  } catch (error) {
    await writer.abort();
    await storage.delete([keys.idx, keys.rev, keys.pack]);
    throw error;
  }
}

async function writePieces(
  storage: Storage,
  key: string,
  pieces: Iterable<Uint8Array>,
  signal: AbortSignal,
): Promise<void> {
  const writer = await storage.openWriter(key, signal);
  try {
    for (const piece of pieces) {
      throwIfAborted(signal);
      await writer.write(piece);
    }
    await writer.commit();
  } catch (error) {
    await writer.abort();
    throw error;
  }
}

/** The idx first, so that git never sees an idx without its pack; whatever else lies beside the pack goes with it. */
export async function removePacks(storage: Storage, folder: string, names: readonly string[]): Promise<void> {
  const keys = names.map((name) => packKeys(folder, name));
  await storage.delete(keys.map((one) => one.idx));
  await storage.delete(keys.flatMap((one) => [one.bitmap, one.rev, one.pack]));
}

export function missingPack(name: string): HotpackError {
  return new HotpackError('missing_object', 'a pack that the manifest names is not there', { detail: { pack: name } });
}
