/**
 * Stores with bitmaps: those that we build, and those that git has written.
 */
import type { Oid } from '../../src/bytes/oid.ts';
import { buildBitmap } from '../../src/pack/bitmap/building/build-bitmap.ts';
import { parseIdx } from '../../src/pack/codec/idx.ts';
import type { ObjectStore } from '../../src/pack/object-store.ts';
import { openObjectStore } from '../../src/pack/reading/open-object-store.ts';
import type { PackedObjects, PackSource } from '../../src/pack/reading/packed-objects.ts';
import { ObjectPicture } from './fetch-judge.ts';
import { gitSync } from './git.ts';
import { readObjects } from './memory-object-store.ts';
import { gitBytes, packSources } from './packed-repository.ts';
import { makeRandomHistory, type RandomHistory } from './random-history.ts';

const CACHE_BYTES = 1 << 20;
const signal = new AbortController().signal;

export type PackedStore = ObjectStore & PackedObjects;

/** The bitmap of a pack that stands alone, as we make it. */
export async function bitmapOf(
  source: PackSource,
  tips: readonly Oid[],
  budgetBytes: number = CACHE_BYTES,
): Promise<Awaited<ReturnType<typeof buildBitmap>>> {
  const store = openObjectStore({ packs: [source], cacheBytes: CACHE_BYTES });
  const { packChecksum } = parseIdx(source.idx);
  return await buildBitmap({ store, packChecksum, tips, budgetBytes }, { signal });
}

/** `packs` with `file` as the bitmap of the largest of them. */
export function storeWithBitmap(packs: readonly PackSource[], file: Uint8Array | undefined): PackedStore {
  return openObjectStore({
    packs,
    cacheBytes: CACHE_BYTES,
    bitmap: { read: () => Promise.resolve(file), closedPacks: packs.length },
  });
}

/** The history's first `commits` commits in one pack, and all that came later in another with some of the first again. */
export function packedInTwo(
  history: RandomHistory,
  commits: number,
): { readonly old: PackSource; readonly new: PackSource } {
  const folder = history.folder;
  const early = history.commits.slice(0, commits);
  const prefix = `${folder}/objects/pack/pack`;
  const pack = (revs: readonly string[], more: readonly string[] = []): string => {
    const names = gitBytes(
      ['pack-objects', '-q', '--revs', '--delta-base-offset', prefix],
      folder,
      `${[...revs, ...more].join('\n')}\n`,
    );
    return `pack-${names.toString().trim()}`;
  };
  const every = gitSync(['for-each-ref', '--format=%(objectname)'], { cwd: folder }).trim().split('\n');
  const names = { old: pack(early), new: pack([...every, ...early.slice(0, -10).map((oid) => `^${oid}`)]) };
  const sources = packSources(folder);
  const named = (name: string): PackSource => sources.find((one) => one.name === name) as PackSource;
  return { old: named(names.old), new: named(names.new) };
}

/** A history of 60 commits, the first 45 of which lie in a pack with a bitmap, the last ones in another pack, in either order. */
export async function bitmappedHistory(
  seed: number,
  options: { readonly bitmappedLast: boolean },
): Promise<{
  readonly history: RandomHistory;
  readonly picture: ObjectPicture;
  readonly fast: PackedStore;
  /** The same without the bitmap. */
  readonly plain: PackedStore;
}> {
  const history = makeRandomHistory({ seed, commits: 60, skewedClocks: seed % 2 === 0 });
  const early = 45;
  const packs = packedInTwo(history, early);
  const built = await bitmapOf(packs.old, history.commits.slice(0, early).toReversed());
  if (built.kind !== 'built') throw new Error(`no bitmap was built: ${built.kind}`);
  const sources = options.bitmappedLast ? [packs.new, packs.old] : [packs.old, packs.new];
  return {
    history,
    picture: new ObjectPicture(readObjects(history.folder)),
    fast: storeWithBitmap(sources, built.file),
    plain: storeWithBitmap(sources, undefined),
  };
}
