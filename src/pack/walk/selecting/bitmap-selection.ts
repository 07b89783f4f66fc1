/**
 * Selects by sets instead of by walking: what the wants reach less what the haves reach, and of that the types that the
 * filter keeps. No tree is read but those of commits that have come after the stored sets. Other than a walk, which
 * looks at the edge of what is new, this finds all that the client has.
 *
 * Possible where nothing depends on paths, depths or cut histories. Memory: two sets, one for types.
 */
import type { StoreBitmaps } from '../../bitmap/store-bitmaps.ts';
import { OBJ_BLOB, OBJ_COMMIT, OBJ_TAG, OBJ_TREE, type ObjectType } from '../../codec/object-type.ts';
import { NO_OBJECTS, type ObjectSet } from '../../selection.ts';
import type { Bitset } from '../bitset.ts';
import type { EndPoints } from '../end-points.ts';
import { type CompiledFilter, keepsEverything, keepsType } from '../filtering/compiled-filter.ts';
import { ReachSet } from '../reach-set.ts';
import type { WalkContext } from '../walk-context.ts';
import { addSmallBlobs } from './small-blobs.ts';

export interface BitmapQuery {
  readonly wants: EndPoints;
  readonly haves: EndPoints;
  readonly filter: CompiledFilter;
  /** What the client has may serve as bases. */
  readonly thin: boolean;
  /** How many of the client's commits may be in no stored set, and bring trees of their own, before it is not worth it. */
  readonly mostNewHaves: number;
}

const TYPES = [OBJ_COMMIT, OBJ_TREE, OBJ_BLOB, OBJ_TAG] as const;

/** Whether sets can tell what `filter` keeps. */
export function isSetFilter(filter: CompiledFilter): boolean {
  return filter.sparse.length === 0 && (filter.treeDepth === 0 || filter.treeDepth === Number.POSITIVE_INFINITY);
}

/** Adds to `selected` and gives what the client has. `not-worth-it`: nothing is added. */
export async function selectByBitmaps(
  context: WalkContext,
  bitmaps: StoreBitmaps,
  query: BitmapQuery,
  selected: Bitset,
): Promise<ObjectSet | 'not-worth-it'> {
  const { wants, haves, filter } = query;
  const kept = keptTypes(filter);
  const depth = kept.has(OBJ_BLOB) ? 'blobs' : kept.has(OBJ_TREE) ? 'trees' : 'commits';
  const had = new ReachSet(context, bitmaps, { depth });
  if (!(await had.addCommits(haves.commits, query.mostNewHaves))) return 'not-worth-it';
  await had.finish();
  for (const tree of haves.trees) await had.addTree(tree);
  for (const blob of haves.blobs) had.add(blob, OBJ_BLOB);
  for (const tag of haves.tags) had.add(tag, OBJ_TAG);

  const wanted = new ReachSet(context, bitmaps, { depth, except: had });
  await wanted.addCommits(wants.commits);
  await wanted.finish();
  if (depth !== 'commits') for (const tree of wants.trees) await wanted.addTree(tree);

  const named = [...wants.tags, ...wants.trees, ...wants.blobs];
  for (const object of kept.has(OBJ_COMMIT) ? named : [...named, ...wants.commits]) {
    if (!had.has(object)) selected.add(object);
  }
  const found = keepNew({ wanted, had, bitmaps }, kept);
  if (kept.has(OBJ_BLOB) && filter.blobBytes !== Number.POSITIVE_INFINITY) {
    const blobs = takeBlobs(wanted, bitmaps).filter((blob) => !selected.has(blob));
    await addSmallBlobs(context, blobs, { below: filter.blobBytes, selected });
  }
  bitmaps.addObjects(found, selected);
  return query.thin && keepsEverything(filter) ? had : NO_OBJECTS;
}

function keptTypes(filter: CompiledFilter): Set<ObjectType> {
  const kept = new Set<ObjectType>(TYPES.filter((type) => keepsType(filter, type)));
  if (filter.treeDepth === 0) kept.delete(OBJ_TREE);
  if (filter.treeDepth === 0 || filter.blobBytes === 0) kept.delete(OBJ_BLOB);
  return kept;
}

/** What of `wanted`, which becomes the result, is not in `had` and of a type that is kept. */
function keepNew(
  sets: { readonly wanted: ReachSet; readonly had: ReachSet; readonly bitmaps: StoreBitmaps },
  kept: ReadonlySet<ObjectType>,
): Uint32Array {
  const { wanted, had, bitmaps } = sets;
  const { words } = wanted;
  for (let i = 0; i < words.length; i++) words[i] = (words[i] as number) & ~(had.words[i] as number);
  for (const type of TYPES) {
    if (kept.has(type)) continue;
    // Beyond the pack a type's set has no members.
    const left = bitmaps.typeSet(type);
    for (let i = 0; i < left.length; i++) words[i] = (words[i] as number) & ~(left[i] as number);
  }
  if (kept.size === TYPES.length) return words;
  for (let bit = bitmaps.packBits; bit < bitmaps.bits; bit++) {
    const type = wanted.typeOf(bit);
    if (type === undefined || !kept.has(type)) words[bit >>> 5] = (words[bit >>> 5] as number) & ~(1 << (bit & 31));
  }
  return words;
}

/** Takes the blobs out of `wanted` and gives their objects. */
function takeBlobs(wanted: ReachSet, bitmaps: StoreBitmaps): number[] {
  const { words } = wanted;
  const blobs: number[] = [];
  for (let bit = 0; bit < bitmaps.bits; bit++) {
    const word = words[bit >>> 5] as number;
    const mask = 1 << (bit & 31);
    if ((word & mask) === 0 || wanted.typeOf(bit) !== OBJ_BLOB) continue;
    words[bit >>> 5] = word & ~mask;
    blobs.push(bitmaps.objectAt(bit));
  }
  return blobs;
}
