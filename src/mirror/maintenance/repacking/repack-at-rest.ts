/**
 * Packs of a mirror that hold much that nobody needs, or in the wrong place, are written anew:
 *
 * 1. What branches and tags reach is found, and what else is to stay; what of all the packs' bytes is neither where it belongs
 *    nor needed is counted. Where that is little, nothing is done.
 * 2. One pack gets all that branches and tags reach, another one the rest of what stays. Entries are copied as they are stored;
 *    bases that the second has in common with the first stand in its tail.
 *
 * The sources stay. Whatever fails leaves nothing behind, and what a killed process leaves is an orphan like any other.
 *
 * Memory: for 1 the tables of all packs and what a walk needs, for 2 what a merge does; the budget each time.
 */
import { lentBases } from '../../../pack/merging/lent-bases.ts';
import { mergePacks } from '../../../pack/merging/merge-packs.ts';
import type { ObjectStore } from '../../../pack/object-store.ts';
import type { PackedObjects } from '../../../pack/reading/packed-objects.ts';
import { Bitset } from '../../../pack/walk/bitset.ts';
import { closure } from '../../../pack/walk/reachable.ts';
import type { Storage } from '../../../storage/contract.ts';
import { openPacks, putPack, removePacks } from '../../copy/packs.ts';
import type { RepackParams, RepackResult, WrittenPack } from '../../tasks.ts';

type Store = ObjectStore & PackedObjects;

interface Needed {
  readonly branches: Bitset;
  readonly others: Bitset;
}

export async function repackAtRest(storage: Storage, params: RepackParams, signal: AbortSignal): Promise<RepackResult> {
  const needed = await findNeeded(storage, params, signal);
  return needed === undefined ? { kind: 'spared' } : writeAnew(storage, { params, needed }, signal);
}

/** Undefined where what there is may stay as it is. */
async function findNeeded(storage: Storage, params: RepackParams, signal: AbortSignal): Promise<Needed | undefined> {
  const { branchTips, otherTips, leastShare } = params;
  const { store, close } = await openPacks(storage, placeOf(params), signal);
  try {
    const isHere = (oid: string): boolean => store.find(oid) >= 0;
    const branches = await closure(store, branchTips.filter(isHere), { signal });
    const others = await closure(store, [...branchTips, ...otherTips].filter(isHere), { signal });
    for (let i = 0; i < others.words.length; i++) {
      others.words[i] = (others.words[i] as number) & ~(branches.words[i] as number);
    }
    const needed = { branches, others };
    const { bytes, misplaced } = weigh(store, params, needed);
    return branches.count > 0 && misplaced > bytes * leastShare ? needed : undefined;
  } finally {
    await close();
  }
}

/** Bytes of all entries, and of those that are needed by nobody, or elsewhere. Tails are left out: they are there twice on purpose. */
function weigh(
  store: Store,
  { sources, closedPacks }: RepackParams,
  { branches, others }: Needed,
): { readonly bytes: number; readonly misplaced: number } {
  let bytes = 0;
  let misplaced = 0;
  for (const [pack, { tailOffset }] of sources.entries()) {
    const belongs = pack < closedPacks ? branches : others;
    const first = store.firstObject(pack);
    for (let object = first; object < first + store.objectsIn(pack); object++) {
      const offset = store.offsetOf(object);
      if (offset >= tailOffset) continue;
      const entryBytes = store.entryEnd(object) - offset;
      bytes += entryBytes;
      if (!belongs.has(store.canonical(object))) misplaced += entryBytes;
    }
  }
  return { bytes, misplaced };
}

async function writeAnew(
  storage: Storage,
  { params, needed }: { readonly params: RepackParams; readonly needed: Needed },
  signal: AbortSignal,
): Promise<RepackResult> {
  const { packFolder, names } = params;
  const { store, sources, close } = await openPacks(storage, placeOf(params), signal);
  let scratches = 0;
  const openScratch = () => storage.openWriter(`${packFolder}/${names.branches}.scratch-${++scratches}`, signal);
  const write = (packName: string, body: Bitset, tail: Bitset): Promise<WrittenPack> => {
    const objects = { kind: 'chosen', body, tail, store, openScratch } as const;
    return putPack(
      storage,
      { packFolder, packName },
      (writer) => mergePacks({ sources, objects, writer, signal }),
      signal,
    );
  };
  try {
    const branches = await write(names.branches, needed.branches, new Bitset(store.objectCount));
    if (needed.others.count === 0) return { kind: 'repacked', branches, others: undefined };
    try {
      const tail = await lentBases(store, { objects: needed.others, lenders: needed.branches }, signal);
      return { kind: 'repacked', branches, others: await write(names.others, needed.others, tail) };
    } catch (error) {
      await removePacks(storage, packFolder, [names.branches]);
      throw error;
    }
  } finally {
    await close();
  }
}

function placeOf({ packFolder, sources, closedPacks, memoryBytes }: RepackParams): Parameters<typeof openPacks>[1] {
  return { folder: packFolder, names: sources.map(({ name }) => name), closedPacks, cacheBytes: memoryBytes };
}
