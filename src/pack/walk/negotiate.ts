/**
 * The server's part of negotiation: which haves are common, and whether they suffice to begin the pack
 * (gitprotocol-v2, "acknowledgments" and "ready").
 */
import type { Oid } from '../../bytes/oid.ts';
import { wordsOf } from '../bitmap/ewah.ts';
import type { StoreBitmaps } from '../bitmap/store-bitmaps.ts';
import type { ObjectStore } from '../object-store.ts';
import { Bitset } from './bitset.ts';
import { MISSING } from './commits/commit-graph.ts';
import type { WalkOptions } from './contract.ts';
import { addToEndPoints, noEndPoints } from './end-points.ts';
import { WalkContext } from './walk-context.ts';

/** Those of `haves` that the store has, in their order. */
export function commonHaves(store: ObjectStore, haves: readonly Oid[]): Oid[] {
  return haves.filter((oid) => store.find(oid) >= 0);
}

/**
 * Whether every wanted commit is, or descends from, a commit in common (a have or a parent of one), looked for
 * back to the oldest have, or to a commit with a stored set, which settles it. Wants that are no commits have no history and never hold up the answer. Without
 * anything in common: false. Wants or haves that the store lacks are passed over.
 */
export async function isReady(
  store: ObjectStore,
  query: { readonly wants: readonly Oid[]; readonly common: readonly Oid[] },
  options: WalkOptions,
): Promise<boolean> {
  const context = new WalkContext(store, options);
  await context.openBitmaps();
  const { graph } = context;
  const common = new Bitset(store.objectCount);
  let oldest = Number.POSITIVE_INFINITY;
  let commonCount = 0;
  for (const oid of query.common) {
    const object = store.find(oid);
    if (object < 0) continue;
    commonCount++;
    const slot = await commitSlot(context, object);
    if (slot < 0) continue;
    common.add(object);
    oldest = Math.min(oldest, graph.secondsAt(slot));
    for (let i = graph.parentsFrom(slot); i < graph.parentsTo(slot); i++) {
      if (graph.parent(i) !== MISSING) common.add(graph.parent(i));
    }
  }
  if (commonCount === 0) return false;
  const wants = noEndPoints();
  for (const oid of query.wants) {
    const object = store.find(oid);
    if (object >= 0) await addToEndPoints(context, object, wants);
  }
  const search = new CommonSearch(context, common, Number.isFinite(oldest) ? oldest : 0);
  for (const want of wants.commits) if (!(await search.reaches(want))) return false;
  return true;
}

async function commitSlot(context: WalkContext, object: number): Promise<number> {
  if (context.graph.slotOf(object) >= 0) return context.graph.slotOf(object);
  const points = noEndPoints();
  await addToEndPoints(context, object, points);
  if (points.commits[0] !== object) return -1;
  const slot = context.commitNow(object);
  return slot < 0 ? await context.commit(object) : slot;
}

/** Whether one of some objects is in the stored set of a commit. */
class StoredSearch {
  readonly #bitmaps: StoreBitmaps;
  readonly #sought: readonly number[];
  readonly #words: Uint32Array;

  constructor(bitmaps: StoreBitmaps, sought: readonly number[]) {
    this.#bitmaps = bitmaps;
    this.#sought = sought.map((object) => bitmaps.bitOf(object));
    this.#words = new Uint32Array(wordsOf(bitmaps.bits));
  }

  /** Undefined where the commit has no stored set. */
  reaches(commit: number): boolean | undefined {
    const row = this.#bitmaps.rowOf(commit);
    if (row < 0) return undefined;
    const words = this.#words.fill(0);
    this.#bitmaps.orInto(row, words);
    return this.#sought.some((bit) => (((words[bit >>> 5] as number) >>> (bit & 31)) & 1) === 1);
  }
}

/** Depth first; what one want has shown to lead to a common commit or not, the next one need not walk again. */
class CommonSearch {
  readonly #context: WalkContext;
  /** Commits in common, and those found to reach one. */
  readonly #leads: Bitset;
  readonly #visited: Bitset;
  readonly #oldest: number;
  readonly #stored: StoredSearch | undefined;

  constructor(context: WalkContext, common: Bitset, oldest: number) {
    const { bitmaps } = context;
    this.#stored = bitmaps && new StoredSearch(bitmaps, [...common.toNumbers()]);
    this.#context = context;
    this.#leads = common;
    this.#visited = new Bitset(common.size);
    this.#oldest = oldest;
  }

  async reaches(want: number): Promise<boolean> {
    const { graph, pace } = this.#context;
    if (this.#leads.has(want)) return true;
    if (this.#visited.has(want)) return false;
    this.#visited.add(want);
    const known = this.#stored?.reaches(want);
    if (known !== undefined) {
      if (known) this.#leads.add(want);
      return known;
    }
    const path = [want];
    const nextParent = [await this.#firstParent(want)];
    while (path.length > 0) {
      const top = path.length - 1;
      const commit = path[top] as number;
      const at = nextParent[top] as number;
      if (at === graph.parentsTo(graph.slotOf(commit))) {
        path.pop();
        nextParent.pop();
        continue;
      }
      nextParent[top] = at + 1;
      const parent = graph.parent(at);
      if (parent === MISSING) continue;
      if (!this.#leads.has(parent) && !this.#visited.has(parent)) {
        const known = this.#stored?.reaches(parent);
        if (known === true) this.#leads.add(parent);
        else if (known === false) this.#visited.add(parent);
      }
      if (this.#leads.has(parent)) {
        // Every commit on the path descends from this one.
        for (const descendant of path) this.#leads.add(descendant);
        return true;
      }
      if (this.#visited.has(parent)) continue;
      this.#visited.add(parent);
      const first = await this.#firstParent(parent);
      if (graph.secondsAt(graph.slotOf(parent)) < this.#oldest) continue;
      path.push(parent);
      nextParent.push(first);
      if (pace.spend(0)) await pace.pause();
    }
    return false;
  }

  async #firstParent(commit: number): Promise<number> {
    let slot = this.#context.commitNow(commit);
    if (slot < 0) slot = await this.#context.commit(commit);
    return this.#context.graph.parentsFrom(slot);
  }
}
