/**
 * Makes the `.bitmap` file of one pack that holds all that its commits refer to.
 *
 *   1  choose commits: tips, then along their histories
 *   2  oldest first, find all that each reaches: what the sets made before hold, and a walk of what came after
 *   3  types: as the walks found them, and asked for where no walk came by
 *   4  newest first, write each set as it is or as what differs from one shortly before, whichever is shorter
 *
 * Every reference that a walk follows is looked for in this pack alone. So what is written is closed, or nothing is.
 *
 * Memory: `budgetBytes` for sets, compressed, and beside it per object 2 bytes, the commit graph's 4 and those of the idx.
 */
import { isHotpackError } from '../../../bytes/error.ts';
import type { Oid } from '../../../bytes/oid.ts';
import { OBJ_BLOB, OBJ_COMMIT, OBJ_TAG, OBJ_TREE, type ObjectType } from '../../codec/object-type.ts';
import type { ObjectStore } from '../../object-store.ts';
import type { PackedObjects } from '../../reading/packed-objects.ts';
import type { WalkOptions } from '../../walk/contract.ts';
import { addToEndPoints, noEndPoints } from '../../walk/end-points.ts';
import { ReachSet } from '../../walk/reach-set.ts';
import { WalkContext } from '../../walk/walk-context.ts';
import { type BitmapEntry, writeBitmapFile } from '../bitmap-file.ts';
import { wordsOf } from '../ewah.ts';
import { chooseCommits } from './choose-commits.ts';
import { GrowingSets } from './growing-sets.ts';

/** More sets make the file larger and hardly any answer cheaper. */
const MOST_SETS = 1024;
/** With how many sets before it a set is compared, and how many differences lead to one that stands for itself. */
const COMPARED = 4;
const LONGEST_CHAIN = 16;

export interface BitmapOrder {
  /** The one pack, and nothing else. */
  readonly store: ObjectStore & PackedObjects;
  readonly packChecksum: Oid;
  /** What refs name, the most important first; what the pack lacks is passed over. */
  readonly tips: readonly Oid[];
  /** What the compressed sets may take, twice: as they are made, and as they are written. */
  readonly budgetBytes: number;
}

/** `open`: the pack lacks something that its commits refer to. `nothing`: no tip is a commit of this pack. */
export type BuiltBitmap =
  | { readonly kind: 'built'; readonly file: Uint8Array; readonly commits: number }
  | { readonly kind: 'open' }
  | { readonly kind: 'nothing' };

/** Rejects with `malformed_pack`, `limit_exceeded`, `aborted`. */
export async function buildBitmap(order: BitmapOrder, options: WalkOptions): Promise<BuiltBitmap> {
  try {
    return await build(order, options);
  } catch (error) {
    if (isHotpackError(error, 'missing_object')) return { kind: 'open' };
    throw error;
  }
}

async function build(order: BitmapOrder, options: WalkOptions): Promise<BuiltBitmap> {
  const { store, packChecksum, tips, budgetBytes } = order;
  const context = new WalkContext(store, options);
  const ends = noEndPoints();
  for (const tip of tips) {
    const object = store.find(tip);
    if (object >= 0) await addToEndPoints(context, object, ends);
  }
  const setBytes = wordsOf(store.objectCount) * 4 + 64;
  const most = Math.min(MOST_SETS, Math.floor(budgetBytes / (2 * setBytes)));
  if (ends.commits.length === 0 || most === 0) return { kind: 'nothing' };
  const chosen = await chooseCommits(context, ends.commits, most);
  const sets = new GrowingSets(store);
  const reached = new ReachSet(context, sets);
  for (const commit of chosen.toReversed()) {
    reached.clear();
    await reached.addCommits([commit]);
    await reached.finish();
    sets.add(commit, reached.words);
    if (context.pace.spend(setBytes)) await context.pace.pause();
  }
  const types = await encodeTypes(context, reached, sets);
  const entries = await encodeEntries(context, { store, sets, chosen });
  return { kind: 'built', file: writeBitmapFile({ packChecksum, types, entries }), commits: chosen.length };
}

async function encodeTypes(context: WalkContext, reached: ReachSet, sets: GrowingSets): Promise<Uint8Array[]> {
  const { store, signal, pace } = context;
  const words = new Map<ObjectType, Uint32Array>();
  for (const type of [OBJ_COMMIT, OBJ_TREE, OBJ_BLOB, OBJ_TAG] as const) {
    words.set(type, new Uint32Array(wordsOf(sets.bits)));
  }
  for (let bit = 0; bit < sets.bits; bit++) {
    let type = reached.typeOf(bit);
    if (type === undefined) {
      type = await store.typeOf(sets.objectAt(bit), signal);
      if (pace.spend(0)) await pace.pause();
    }
    const ofType = words.get(type) as Uint32Array;
    ofType[bit >>> 5] = (ofType[bit >>> 5] as number) | (1 << (bit & 31));
  }
  return [...words.values()].map((ofType) => sets.encode(ofType));
}

async function encodeEntries(
  context: WalkContext,
  made: { readonly store: PackedObjects; readonly sets: GrowingSets; readonly chosen: readonly number[] },
): Promise<BitmapEntry[]> {
  const { store, sets, chosen } = made;
  const first = store.firstObject(0);
  const entries: BitmapEntry[] = [];
  /** The sets that a new one is compared with, the last one first; and how long the chain of each is. */
  let recent: { readonly words: Uint32Array; readonly chain: number }[] = [];
  const difference = new Uint32Array(wordsOf(sets.bits));
  for (const commit of chosen) {
    const words = new Uint32Array(difference.length);
    sets.orInto(sets.rowOf(commit), words);
    let best = { set: sets.encode(words), xorDistance: 0, chain: 0 };
    for (const [back, other] of recent.entries()) {
      if (other.chain === LONGEST_CHAIN) continue;
      for (let i = 0; i < words.length; i++) difference[i] = (words[i] as number) ^ (other.words[i] as number);
      const set = sets.encode(difference);
      if (set.length < best.set.length) best = { set, xorDistance: back + 1, chain: other.chain + 1 };
    }
    entries.push({ rank: commit - first, xorDistance: best.xorDistance, set: best.set });
    recent = [{ words, chain: best.chain }, ...recent.slice(0, COMPARED - 1)];
    if (context.pace.spend(words.length * 4 * recent.length)) await context.pace.pause();
  }
  return entries;
}
