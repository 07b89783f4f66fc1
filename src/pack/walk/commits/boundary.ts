/**
 * Where a client's history ends after a deepening fetch: the `shallow` and `unshallow` lines, found as
 * upload-pack finds them (gitprotocol-pack, "shallow-update"; git-rev-list for since and not).
 *
 * Depth: each commit's least distance from a starting point, level by level. Those at the depth asked for
 * become shallow, those nearer are whole. Since and not: what the limited walk leaves is whole, but for
 * commits that have a parent outside of it.
 */
import { HotpackError } from '../../../bytes/error.ts';
import type { Deepen } from '../../selection.ts';
import { Bitset } from '../bitset.ts';
import { UNINTERESTING } from '../selecting/marks.ts';
import { missingReference, type WalkContext } from '../walk-context.ts';
import { MISSING } from './commit-graph.ts';
import { walkLimited } from './limited-walk.ts';

/** What clients send for --unshallow and --depth=infinite. */
export const INFINITE_DEPTH = 2_147_483_647;

export interface Boundary {
  /** Commits that become shallow and were not, ascending. */
  readonly shallow: readonly number[];
  /** Commits of the client's boundary that get their parents, ascending. */
  readonly unshallow: readonly number[];
}

export interface DeepenQuery {
  /** Peeled wants that are commits. */
  readonly wants: readonly number[];
  /** The client's present boundary, as far as the store has it. */
  readonly shallows: readonly number[];
  readonly not: readonly number[];
  readonly deepen: Deepen;
}

export async function findBoundary(context: WalkContext, query: DeepenQuery): Promise<Boundary> {
  const { deepen, shallows } = query;
  switch (deepen.kind) {
    case 'none':
      return { shallow: [], unshallow: [] };
    case 'depth': {
      if (deepen.depth >= INFINITE_DEPTH) return { shallow: [], unshallow: shallows };
      const levels = deepen.relative
        ? await walkLevels(context, shallows, deepen.depth + 1)
        : await walkLevels(context, query.wants, deepen.depth);
      return boundaryOf(shallows, levels);
    }
    case 'revs':
      return boundaryOf(shallows, await walkRevisions(context, query, deepen.sinceSeconds));
  }
}

interface Extent {
  /** Commits whose parents the client will have. */
  readonly whole: Bitset;
  /** Commits at which its history is cut. */
  readonly cut: readonly number[];
}

function boundaryOf(shallows: readonly number[], extent: Extent): Boundary {
  const present = new Set(shallows);
  return {
    shallow: extent.cut.filter((commit) => !present.has(commit)).toSorted((a, b) => a - b),
    unshallow: shallows.filter((commit) => extent.whole.has(commit)),
  };
}

async function walkLevels(context: WalkContext, starts: readonly number[], depth: number): Promise<Extent> {
  const { graph, pace, store } = context;
  const reached = new Bitset(store.objectCount);
  const whole = new Bitset(store.objectCount);
  let level: number[] = [];
  const reach = (commit: number, next: number[]): void => {
    if (reached.has(commit)) return;
    reached.add(commit);
    next.push(commit);
  };
  for (const commit of starts) reach(commit, level);
  for (let distance = 1; distance < depth && level.length > 0; distance++) {
    const next: number[] = [];
    for (const commit of level) {
      let slot = context.commitNow(commit);
      if (slot < 0) slot = await context.commit(commit);
      whole.add(commit);
      for (let i = graph.parentsFrom(slot); i < graph.parentsTo(slot); i++) {
        const parent = graph.parent(i);
        if (parent === MISSING) throw missingReference(store, commit);
        reach(parent, next);
      }
      if (pace.spend(0)) await pace.pause();
    }
    level = next;
  }
  return { whole, cut: level };
}

async function walkRevisions(
  context: WalkContext,
  query: DeepenQuery,
  sinceSeconds: number | undefined,
): Promise<Extent> {
  const { graph, store } = context;
  const marks = new Uint8Array(store.objectCount);
  const walk = { interesting: query.wants, uninteresting: query.not, cut: undefined, sinceSeconds };
  const listed = await walkLimited(context, walk, marks);
  const found = listed.filter((commit) => ((marks[commit] as number) & UNINTERESTING) === 0);
  if (found.length === 0) {
    throw new HotpackError('unsupported', 'no commits selected for shallow requests');
  }
  const inside = new Bitset(store.objectCount);
  const whole = new Bitset(store.objectCount);
  for (const commit of found) inside.add(commit);
  const cut: number[] = [];
  for (const commit of found) {
    const slot = graph.slotOf(commit);
    let leadsOut = false;
    for (let i = graph.parentsFrom(slot); i < graph.parentsTo(slot); i++) {
      const parent = graph.parent(i);
      leadsOut ||= parent === MISSING || !inside.has(parent);
    }
    if (leadsOut) cut.push(commit);
    else whole.add(commit);
  }
  return { whole, cut };
}
