/**
 * Which commits the interesting ones reach and the uninteresting ones do not, as git's revision walk finds
 * them (git-rev-list, "A ^B"): both sides are walked together, newest commits first, so that the work is in
 * proportion to what differs. The walk goes on for a few commits after only uninteresting ones are left, so
 * that a history whose clocks are a little wrong is excluded as well; under grossly wrong clocks commits that
 * the client has may be sent again, never the other way round.
 *
 * With nothing uninteresting this is a plain walk, newest first.
 */
import { MISSING } from './commit-graph.ts';
import { CommitQueue } from './commit-queue.ts';
import type { Bitset } from '../bitset.ts';
import { ADDED, QUEUED, SEEN, UNINTERESTING } from '../selecting/marks.ts';
import { missingReference, type WalkContext } from '../walk-context.ts';

/** How many uninteresting commits are looked at after the last interesting one. */
const SLOP = 5;

export interface LimitedWalk {
  readonly interesting: readonly number[];
  readonly uninteresting: readonly number[];
  /** Commits that are taken to have no parents. */
  readonly cut: Bitset | undefined;
  /** Commits older than this are left out with everything that only they lead to. */
  readonly sinceSeconds: number | undefined;
}

/**
 * The commits found, newest first. Those among them that came to be UNINTERESTING in `marks` are not part of
 * the result but stay listed: their trees are known to the client.
 */
export async function walkLimited(context: WalkContext, walk: LimitedWalk, marks: Uint8Array): Promise<number[]> {
  const found: number[] = [];
  await new Walker(context, walk, marks).run(found, Number.POSITIVE_INFINITY);
  return found;
}

/** True where `walkLimited` would find at most `most` commits. `marks` are of no use afterwards. */
export async function isShortWalk(
  context: WalkContext,
  walk: LimitedWalk,
  limit: { readonly most: number; readonly marks: Uint8Array },
): Promise<boolean> {
  return await new Walker(context, walk, limit.marks).run([], limit.most);
}

class Walker {
  readonly #context: WalkContext;
  readonly #walk: LimitedWalk;
  readonly #marks: Uint8Array;
  readonly #queue = new CommitQueue();
  /** Commits in the queue that are not uninteresting. */
  #waiting = 0;

  constructor(context: WalkContext, walk: LimitedWalk, marks: Uint8Array) {
    this.#context = context;
    this.#walk = walk;
    this.#marks = marks;
  }

  /** False where more than `most` are found. */
  async run(found: number[], most: number): Promise<boolean> {
    const { graph, pace } = this.#context;
    const marks = this.#marks;
    const since = this.#walk.sinceSeconds ?? 0;
    const limited = this.#walk.uninteresting.length > 0;
    let lastFound = Number.POSITIVE_INFINITY;
    let slop = SLOP;
    for (const commit of this.#walk.uninteresting) this.#mark(commit, UNINTERESTING);
    for (const commit of this.#walk.interesting) {
      if (this.#needsReading(commit)) await this.#context.commit(commit);
      this.#enqueue(commit);
    }
    for (const commit of this.#walk.uninteresting) {
      if (this.#needsReading(commit)) await this.#context.commit(commit);
      this.#enqueue(commit);
      this.#markParentsUninteresting(commit);
    }
    while (this.#queue.size > 0) {
      const commit = this.#queue.pop();
      if (((marks[commit] as number) & QUEUED) !== 0) this.#waiting--;
      marks[commit] = (marks[commit] as number) & ~QUEUED;
      const seconds = graph.secondsAt(graph.slotOf(commit));
      if (seconds < since) {
        if (!limited) continue;
        this.#mark(commit, UNINTERESTING);
      }
      for (let i = this.#parentsFrom(commit), to = this.#parentsTo(commit); i < to; i++) {
        const parent = graph.parent(i);
        if (this.#needsReading(parent)) await this.#context.commit(parent);
        this.#addParent(commit, parent);
      }
      this.#mark(commit, ADDED);
      if (((marks[commit] as number) & UNINTERESTING) !== 0) {
        this.#markParentsUninteresting(commit);
        slop = this.#stillInteresting(lastFound, slop);
        if (slop === 0) break;
        continue;
      }
      lastFound = seconds;
      found.push(commit);
      if (found.length > most) return false;
      if (pace.spend(0)) await pace.pause();
    }
    return true;
  }

  #needsReading(commit: number): boolean {
    return commit !== MISSING && this.#context.commitNow(commit) < 0;
  }

  #addParent(commit: number, parent: number): void {
    const excluded = ((this.#marks[commit] as number) & UNINTERESTING) !== 0;
    if (parent === MISSING) {
      if (excluded) return;
      throw missingReference(this.#context.store, commit);
    }
    if (excluded) this.#mark(parent, UNINTERESTING);
    if (((this.#marks[parent] as number) & SEEN) === 0) this.#enqueue(parent);
    if (excluded) this.#markParentsUninteresting(parent);
  }

  /** The commit is in the graph already. */
  #enqueue(commit: number): void {
    if (((this.#marks[commit] as number) & SEEN) !== 0) return;
    const { graph } = this.#context;
    this.#marks[commit] = (this.#marks[commit] as number) | SEEN;
    this.#queue.push(commit, graph.secondsAt(graph.slotOf(commit)));
    if (((this.#marks[commit] as number) & UNINTERESTING) !== 0) return;
    this.#marks[commit] = (this.#marks[commit] as number) | QUEUED;
    this.#waiting++;
  }

  /** Marks all ancestors of `commit` that this walk has seen, and the first unseen ones behind them. */
  #markParentsUninteresting(commit: number): void {
    const { graph } = this.#context;
    const marks = this.#marks;
    const stack = [commit];
    for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
      for (let i = this.#parentsFrom(next), to = this.#parentsTo(next); i < to; i++) {
        const parent = graph.parent(i);
        if (parent === MISSING || ((marks[parent] as number) & UNINTERESTING) !== 0) continue;
        this.#mark(parent, UNINTERESTING);
        if (((marks[parent] as number) & SEEN) !== 0) stack.push(parent);
      }
    }
  }

  #mark(commit: number, bit: number): void {
    const before = this.#marks[commit] as number;
    let after = before | bit;
    if (bit === UNINTERESTING && (before & QUEUED) !== 0) {
      this.#waiting--;
      after &= ~QUEUED;
    }
    this.#marks[commit] = after;
  }

  #stillInteresting(lastFound: number, slop: number): number {
    if (this.#queue.size === 0) return 0;
    if (lastFound <= this.#queue.newestSeconds || this.#waiting > 0) return SLOP;
    return slop - 1;
  }

  #parentsFrom(commit: number): number {
    return this.#context.graph.parentsFrom(this.#context.graph.slotOf(commit));
  }

  /** Where the commit is cut its parents end where they begin. */
  #parentsTo(commit: number): number {
    const slot = this.#context.graph.slotOf(commit);
    const { graph } = this.#context;
    return this.#walk.cut?.has(commit) ? graph.parentsFrom(slot) : graph.parentsTo(slot);
  }
}
