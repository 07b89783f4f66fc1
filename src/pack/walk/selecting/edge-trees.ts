/**
 * Marks trees and blobs that the client has because it has commits, so that what did not change is not sent.
 *
 * `markChangedPaths` is git's sparse way (pack.useSparse): the trees of new commits and of their parents are
 * compared path by path and only paths where known and new trees meet are entered, so that the work is in
 * proportion to what changed. What moved from elsewhere in the tree is then sent again.
 * `markWholeTree` marks all of a tree; git does so for every commit that a shallow client has.
 */
import { MISSING } from '../commits/commit-graph.ts';
import { latin1 } from '../filtering/sparse-patterns.ts';
import { CLIENT_BASE, UNINTERESTING } from './marks.ts';
import { malformedObject } from '../parsing/malformed-object.ts';
import { ENTRY_GITLINK, ENTRY_TREE, TreeCursor } from '../parsing/tree.ts';
import type { WalkContext } from '../walk-context.ts';

const KNOWN = UNINTERESTING | CLIENT_BASE;

/** Marks what the client has at the boundary of `commits`, the newest-first list of a limited walk. */
export async function markChangedPaths(
  context: WalkContext,
  commits: readonly number[],
  query: { readonly marks: Uint8Array; readonly isCut: (commit: number) => boolean },
): Promise<void> {
  const { graph } = context;
  const { marks } = query;
  const roots = new Set<number>();
  const addRoot = (commit: number, slot: number): void => {
    const tree = graph.treeAt(slot);
    if (tree === MISSING) return;
    if (isKnown(marks, commit)) mark(marks, tree);
    roots.add(tree);
  };
  for (const commit of commits) {
    const slot = graph.slotOf(commit);
    addRoot(commit, slot);
    if (query.isCut(commit)) continue;
    for (let i = graph.parentsFrom(slot); i < graph.parentsTo(slot); i++) {
      const parent = graph.parent(i);
      if (parent === MISSING) continue;
      let parentSlot = context.commitNow(parent);
      if (parentSlot < 0) parentSlot = await context.commit(parent);
      addRoot(parent, parentSlot);
    }
  }
  await compareByPath(context, roots, marks);
}

/** Goes on with those groups of trees, all at one path, in which known and new ones meet. */
async function compareByPath(context: WalkContext, roots: ReadonlySet<number>, marks: Uint8Array): Promise<void> {
  const { pace, store } = context;
  const cursor = new TreeCursor();
  const groups: Iterable<number>[] = [roots];
  for (let group = groups.pop(); group !== undefined; group = groups.pop()) {
    if (!isMixed(group, marks)) continue;
    const children = new Map<string, Set<number>>();
    for (const tree of group) {
      const content = context.treeNow(tree) ?? (await context.tree(tree));
      const known = isKnown(marks, tree);
      cursor.open(content);
      while (cursor.next()) {
        if (cursor.kind === ENTRY_GITLINK || (!known && cursor.kind !== ENTRY_TREE)) continue;
        const child = store.findBytes(content, cursor.oidOffset);
        if (child < 0) continue;
        if (known) mark(marks, child);
        if (cursor.kind === ENTRY_TREE) {
          const name = latin1(content.subarray(cursor.nameStart, cursor.nameEnd));
          const present = children.get(name);
          if (present === undefined) children.set(name, new Set([child]));
          else present.add(child);
        }
      }
      if (cursor.flaw !== undefined) throw malformedObject(store, tree, cursor.flaw);
      if (pace.spend(content.length)) await pace.pause();
    }
    groups.push(...children.values());
  }
}

/** Marks `root` and all that it holds, but for trees that are known already. */
export async function markWholeTree(context: WalkContext, root: number, marks: Uint8Array): Promise<void> {
  const { pace, store } = context;
  if (isKnown(marks, root)) return;
  mark(marks, root);
  const cursor = new TreeCursor();
  const pending = [root];
  for (let tree = pending.pop(); tree !== undefined; tree = pending.pop()) {
    const content = context.treeNow(tree) ?? (await context.tree(tree));
    cursor.open(content);
    while (cursor.next()) {
      if (cursor.kind === ENTRY_GITLINK) continue;
      const child = store.findBytes(content, cursor.oidOffset);
      if (child < 0 || isKnown(marks, child)) continue;
      mark(marks, child);
      if (cursor.kind === ENTRY_TREE) pending.push(child);
    }
    if (cursor.flaw !== undefined) throw malformedObject(store, tree, cursor.flaw);
    if (pace.spend(content.length)) await pace.pause();
  }
}

function isMixed(trees: Iterable<number>, marks: Uint8Array): boolean {
  let known = false;
  let fresh = false;
  for (const tree of trees) {
    if (isKnown(marks, tree)) known = true;
    else fresh = true;
    if (known && fresh) return true;
  }
  return false;
}

function isKnown(marks: Uint8Array, object: number): boolean {
  return ((marks[object] as number) & UNINTERESTING) !== 0;
}

function mark(marks: Uint8Array, object: number): void {
  marks[object] = (marks[object] as number) | KNOWN;
}
