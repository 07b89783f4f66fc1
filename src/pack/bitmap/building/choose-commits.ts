/**
 * Which commits get a set of their own: what a history is entered at. First the tips, in the order in which they are given,
 * then along the first parents of each tip: every one of the last hundred, and the older the fewer, so that from
 * any commit on the way one comes to a chosen one after a fiftieth of the way at most. A line ends where it joins
 * one that was followed before.
 *
 * Memory: a bit an object, and the graph of the commits looked at.
 */
import { Bitset } from '../../walk/bitset.ts';
import { MISSING } from '../../walk/commits/commit-graph.ts';
import { missingReference, type WalkContext } from '../../walk/walk-context.ts';

/** How far apart chosen commits are, as a part of their distance from the tip. */
const SPARSENESS = 50;

/** At most `most` commits, newest first. `tips` are commits, the most important first. */
export async function chooseCommits(context: WalkContext, tips: readonly number[], most: number): Promise<number[]> {
  const { graph, pace, store } = context;
  // Half of the room is kept for histories, however many tips there are.
  const chosen = new Set(tips.slice(0, Math.ceil(most / 2)));
  const followed = new Bitset(store.objectCount);
  for (const tip of tips) {
    let next = 0;
    let commit = tip;
    for (let distance = 0; chosen.size < most && !followed.has(commit); distance++) {
      followed.add(commit);
      if (distance === next) {
        chosen.add(commit);
        next += Math.max(1, Math.floor(distance / SPARSENESS));
      }
      const slot = await slotOf(context, commit);
      if (graph.parentsFrom(slot) === graph.parentsTo(slot)) break;
      const parent = graph.parent(graph.parentsFrom(slot));
      if (parent === MISSING) throw missingReference(store, commit);
      commit = parent;
      if (pace.spend(0)) await pace.pause();
    }
    if (chosen.size >= most) break;
  }
  const seconds = new Map<number, number>();
  for (const commit of chosen) seconds.set(commit, graph.secondsAt(await slotOf(context, commit)));
  return [...chosen].toSorted((a, b) => (seconds.get(b) as number) - (seconds.get(a) as number) || a - b);
}

async function slotOf(context: WalkContext, commit: number): Promise<number> {
  const slot = context.commitNow(commit);
  return slot < 0 ? await context.commit(commit) : slot;
}
