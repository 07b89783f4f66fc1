/**
 * Which commits get a set of their own: what a history is entered at. In this order, as far as there is room:
 *
 *   1  the ends of history: tips that no other tip leads to. With these a clone of everything needs no walk.
 *   2  along the first parents of each tip: every one of the last hundred, and the older the fewer, so that from any
 *      commit on the way one comes to a chosen one after a fiftieth of the way. A line ends where it joins one before.
 *   3  the other tips, which clients are likely to have
 *
 * Memory: two bits an object, and the graph of all commits that the tips reach.
 */
import { Bitset } from '../../walk/bitset.ts';
import { MISSING } from '../../walk/commits/commit-graph.ts';
import { missingReference, type WalkContext } from '../../walk/walk-context.ts';

/** How far apart chosen commits are, as a part of their distance from the tip. */
const SPARSENESS = 50;
/** Part of the room that is kept for histories, however many ends there are. */
const HISTORY_SHARE = 1 / 4;

/** At most `most` commits, newest first. `tips` are commits, the most important first. */
export async function chooseCommits(context: WalkContext, tips: readonly number[], most: number): Promise<number[]> {
  const { graph } = context;
  const chosen = new Set<number>();
  const add = (commit: number, limit: number): void => {
    if (chosen.size < limit) chosen.add(commit);
  };
  const parents = await parentsOfReached(context, tips);
  for (const tip of tips) if (!parents.has(tip)) add(tip, Math.ceil(most * (1 - HISTORY_SHARE)));
  const followed = new Bitset(context.store.objectCount);
  for (const tip of tips) followLine(context, tip, { followed, choose: (commit) => add(commit, most) });
  for (const tip of tips) add(tip, most);
  const secondsOf = (commit: number): number => graph.secondsAt(graph.slotOf(commit));
  return [...chosen].toSorted((a, b) => secondsOf(b) - secondsOf(a) || a - b);
}

/** Has the graph know all commits that `tips` reach. The set is of those that some other one names as a parent. */
async function parentsOfReached(context: WalkContext, tips: readonly number[]): Promise<Bitset> {
  const { graph, pace, store } = context;
  const parents = new Bitset(store.objectCount);
  const pending = [...tips].toReversed();
  const reached = new Bitset(store.objectCount);
  for (let commit = pending.pop(); commit !== undefined; commit = pending.pop()) {
    if (reached.has(commit)) continue;
    reached.add(commit);
    let slot = context.commitNow(commit);
    if (slot < 0) slot = await context.commit(commit);
    for (let i = graph.parentsFrom(slot); i < graph.parentsTo(slot); i++) {
      const parent = graph.parent(i);
      if (parent === MISSING) throw missingReference(store, commit);
      parents.add(parent);
      if (!reached.has(parent)) pending.push(parent);
    }
    if (pace.spend(0)) await pace.pause();
  }
  return parents;
}

function followLine(
  { graph }: WalkContext,
  tip: number,
  line: { readonly followed: Bitset; readonly choose: (commit: number) => void },
): void {
  const { followed, choose } = line;
  let next = 0;
  for (let commit = tip, distance = 0; !followed.has(commit); distance++) {
    followed.add(commit);
    if (distance === next) {
      choose(commit);
      next += Math.max(1, Math.floor(distance / SPARSENESS));
    }
    const slot = graph.slotOf(commit);
    if (graph.parentsFrom(slot) === graph.parentsTo(slot)) return;
    commit = graph.parent(graph.parentsFrom(slot));
  }
}
