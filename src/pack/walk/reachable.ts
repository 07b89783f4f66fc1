/**
 * Reachability without a client: which commits descend from which, everything below some roots, and whether
 * a store holds all that its tips refer to.
 *
 * Memory: one or two bits an object, the commit graph, and a stack of the objects found but not entered yet
 * (8 bytes each).
 */
import { HotpackError } from '../../bytes/error.ts';
import type { Oid } from '../../bytes/oid.ts';
import type { ObjectStore } from '../object-store.ts';
import type { StoreBitmaps } from '../bitmap/store-bitmaps.ts';
import { OBJ_BLOB, OBJ_TAG } from '../codec/object-type.ts';
import { Bitset } from './bitset.ts';
import { ClosureWalk } from './closure-walk.ts';
import { MISSING } from './commits/commit-graph.ts';
import { CommitQueue } from './commits/commit-queue.ts';
import type { ClosureCheck, WalkOptions } from './contract.ts';
import { addToEndPoints, noEndPoints } from './end-points.ts';
import { ReachSet } from './reach-set.ts';
import { missingReference, WalkContext } from './walk-context.ts';

/**
 * Those of `targets` that one of `tips` is or leads to through tags and parents. Tips and targets that the
 * store lacks reach nothing and are not reached. Newest commits first; ends when all targets are found.
 */
export async function reachesAll(
  store: ObjectStore,
  query: { readonly tips: readonly Oid[]; readonly targets: readonly Oid[] },
  options: WalkOptions,
): Promise<ReadonlySet<Oid>> {
  const context = new WalkContext(store, options);
  const { graph, pace } = context;
  const sought = new Set<number>();
  for (const oid of query.targets) if (store.find(oid) >= 0) sought.add(store.find(oid));
  const reached = new Set<Oid>();
  const seen = new Bitset(store.objectCount);
  const queue = new CommitQueue();
  const reach = (object: number): void => {
    if (sought.delete(object)) reached.add(store.oidOf(object));
  };
  const enqueue = async (commit: number): Promise<void> => {
    seen.add(commit);
    reach(commit);
    let slot = context.commitNow(commit);
    if (slot < 0) slot = await context.commit(commit);
    queue.push(commit, graph.secondsAt(slot));
  };
  for (const oid of query.tips) {
    const tip = store.find(oid);
    if (tip < 0) continue;
    const points = noEndPoints();
    await addToEndPoints(context, tip, points);
    for (const object of [...points.tags, ...points.trees, ...points.blobs]) reach(object);
    for (const commit of points.commits) if (!seen.has(commit)) await enqueue(commit);
  }
  while (queue.size > 0 && sought.size > 0) {
    const commit = queue.pop();
    const slot = graph.slotOf(commit);
    for (let i = graph.parentsFrom(slot); i < graph.parentsTo(slot); i++) {
      const parent = graph.parent(i);
      if (parent === MISSING) throw missingReference(store, commit);
      if (!seen.has(parent)) await enqueue(parent);
    }
    if (pace.spend(0)) await pace.pause();
  }
  return reached;
}

/** Every object that `roots` are or refer to, however far. `missing_object` where one is not here. */
export async function closure(store: ObjectStore, roots: readonly Oid[], options: WalkOptions): Promise<Bitset> {
  const context = new WalkContext(store, options);
  const bitmaps = await context.openBitmaps();
  if (bitmaps !== undefined) return await closureBySets(context, bitmaps, roots);
  const walk = new ClosureWalk(context);
  const check = await walk.run(roots);
  if (check.complete) return walk.reached;
  throw missingObject(check.missing, check.referredToBy);
}

async function closureBySets(context: WalkContext, bitmaps: StoreBitmaps, roots: readonly Oid[]): Promise<Bitset> {
  const { store } = context;
  const ends = noEndPoints();
  for (const oid of roots) {
    const root = store.find(oid);
    if (root < 0) throw missingObject(oid, undefined);
    await addToEndPoints(context, root, ends);
  }
  const reached = new ReachSet(context, bitmaps);
  await reached.addCommits(ends.commits);
  await reached.finish();
  for (const tree of ends.trees) await reached.addTree(tree);
  for (const blob of ends.blobs) reached.add(blob, OBJ_BLOB);
  for (const tag of ends.tags) reached.add(tag, OBJ_TAG);
  const objects = new Bitset(store.objectCount);
  bitmaps.addObjects(reached.words, objects);
  return objects;
}

function missingObject(missing: Oid, referredToBy: Oid | undefined): HotpackError {
  return new HotpackError('missing_object', `object ${missing} is missing`, { detail: { missing, referredToBy } });
}

/** Whether all that `tips` are or refer to is in the store, and if not the first object found to be absent. */
export async function missingFrom(
  store: ObjectStore,
  tips: readonly Oid[],
  options: WalkOptions,
): Promise<ClosureCheck> {
  return await new ClosureWalk(new WalkContext(store, options)).run(tips);
}
