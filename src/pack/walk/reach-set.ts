/**
 * Everything that some objects reach, made of stored sets as far as they go and of a walk beyond them:
 *
 *   1  commits, newest first: one that has a stored set brings all below it at once, any other is new and leads on to
 *      its parents
 *   2  the trees of the new commits, of which only those are entered that are not members yet
 *
 * So the work is in proportion to what came after the stored sets. What is in the set `except` is taken for
 * known: it is not entered, and may or may not become a member.
 *
 * Memory: a bit an object; a byte for each object outside of the bitmapped pack; 8 bytes a new commit.
 */
import { wordsOf } from '../bitmap/ewah.ts';
import type { StoredSets } from '../bitmap/stored-sets.ts';
import { OBJ_BLOB, OBJ_COMMIT, type OBJ_TAG, OBJ_TREE, type ObjectType } from '../codec/object-type.ts';
import { MISSING } from './commits/commit-graph.ts';
import { CommitQueue } from './commits/commit-queue.ts';
import { malformedObject } from './parsing/malformed-object.ts';
import { ENTRY_BLOB, ENTRY_GITLINK, ENTRY_TREE, TreeCursor } from './parsing/tree.ts';
import { missingReference, type WalkContext } from './walk-context.ts';

/**
 * Of a new commit whose tree lies in the bitmapped pack (its content was there before), against one whose tree has to be entered: it is
 * looked up and nothing else.
 */
const OLD_TREE_COST = 1 / 8;

export interface ReachOptions {
  readonly except?: ReachSet | undefined;
  /** Which members are asked for beside commits and tags: what is not need not be looked for. Default: all. */
  readonly depth?: 'commits' | 'trees' | 'blobs';
}

export class ReachSet {
  readonly bitmaps: StoredSets;
  /** By bit, as `StoredSets` numbers them. */
  readonly words: Uint32Array;
  readonly #context: WalkContext;
  readonly #options: ReachOptions;
  readonly #queue = new CommitQueue();
  readonly #cursor = new TreeCursor();
  /** Members that no stored set brought, trees not entered yet. */
  readonly #fresh: number[] = [];
  /** Types of members outside of the bitmapped pack. */
  readonly #types: Uint8Array;

  constructor(context: WalkContext, bitmaps: StoredSets, options: ReachOptions = {}) {
    this.#context = context;
    this.bitmaps = bitmaps;
    this.#options = options;
    this.words = new Uint32Array(wordsOf(bitmaps.bits));
    this.#types = new Uint8Array(bitmaps.bits - bitmaps.packBits);
  }

  has(object: number): boolean {
    const bit = this.bitmaps.bitOf(object);
    return (((this.words[bit >>> 5] as number) >>> (bit & 31)) & 1) === 1;
  }

  /** The type of a member, or of what has been one. */
  typeOf(bit: number): ObjectType | undefined {
    const { bitmaps } = this;
    if (bit < bitmaps.packBits) return bitmaps.typeAt(bit);
    const type = this.#types[bit - bitmaps.packBits];
    return type === 0 ? undefined : (type as ObjectType | undefined);
  }

  /** A tag or a blob, which leads nowhere. */
  add(object: number, type: typeof OBJ_TAG | typeof OBJ_BLOB): void {
    if (!this.#isKnown(object)) this.#insert(object, type);
  }

  /** A tree with all that is below it. */
  async addTree(tree: number): Promise<void> {
    if (this.#isKnown(tree)) return;
    this.#insert(tree, OBJ_TREE);
    await this.#enterTrees(tree);
  }

  /**
   * Adds `commits` and what they reach, but for the trees of new commits: `finish` enters those. False where that would be more
   * than `mostNew` commits with their trees; the set is then of no use.
   */
  async addCommits(commits: readonly number[], mostNew: number = Number.POSITIVE_INFINITY): Promise<boolean> {
    const { graph, pace, store } = this.#context;
    const { bitmaps } = this;
    const queue = this.#queue;
    let cost = 0;
    // Newer sets first: they hold most of the older ones.
    const roots = commits.map((commit) => ({ commit, row: bitmaps.rowOf(commit) }));
    for (const { commit, row } of roots.toSorted((a, b) => a.row - b.row)) {
      if (row >= 0) this.#takeStored(commit, row);
    }
    for (const { commit, row } of roots) if (row < 0) await this.#enqueue(commit);
    while (queue.size > 0) {
      const commit = queue.pop();
      if (this.#isKnown(commit)) continue;
      this.#insert(commit, OBJ_COMMIT);
      this.#fresh.push(commit);
      const slot = graph.slotOf(commit);
      cost += this.#isOld(graph.treeAt(slot)) ? OLD_TREE_COST : 1;
      if (cost > mostNew) return false;
      for (let i = graph.parentsFrom(slot); i < graph.parentsTo(slot); i++) {
        const parent = graph.parent(i);
        if (parent === MISSING) throw missingReference(store, commit);
        const row = bitmaps.rowOf(parent);
        if (row >= 0) this.#takeStored(parent, row);
        else await this.#enqueue(parent);
      }
      if (pace.spend(0)) await pace.pause();
    }
    return true;
  }

  /** Starts anew; types of what has been a member stay known. */
  clear(): void {
    this.words.fill(0);
    this.#fresh.length = 0;
  }

  /** Enters the trees of the new commits. */
  async finish(): Promise<void> {
    const { graph, store } = this.#context;
    const fresh = this.#fresh.splice(0);
    if (this.#options.depth === 'commits') return;
    for (const commit of fresh) {
      const tree = graph.treeAt(graph.slotOf(commit));
      if (tree === MISSING) throw missingReference(store, commit);
      if (this.#isKnown(tree)) continue;
      this.#insert(tree, OBJ_TREE);
      await this.#enterTrees(tree);
    }
  }

  #isOld(tree: number): boolean {
    return tree !== MISSING && this.bitmaps.bitOf(tree) < this.bitmaps.packBits;
  }

  #takeStored(commit: number, row: number): void {
    if (!this.#isKnown(commit)) this.bitmaps.orInto(row, this.words);
  }

  async #enqueue(commit: number): Promise<void> {
    if (this.#isKnown(commit)) return;
    const { graph } = this.#context;
    let slot = this.#context.commitNow(commit);
    if (slot < 0) slot = await this.#context.commit(commit);
    this.#queue.push(commit, graph.secondsAt(slot));
  }

  async #enterTrees(root: number): Promise<void> {
    const { pace } = this.#context;
    const pending = [root];
    for (let tree = pending.pop(); tree !== undefined; tree = pending.pop()) {
      const content = this.#context.treeNow(tree) ?? (await this.#context.tree(tree));
      this.#enterTree(tree, content, pending);
      if (pace.spend(content.length)) await pace.pause();
    }
  }

  #enterTree(tree: number, content: Uint8Array, pending: number[]): void {
    const { store } = this.#context;
    const cursor = this.#cursor;
    const passesBlobs = this.#options.depth === 'trees';
    cursor.open(content);
    while (cursor.next()) {
      if (cursor.kind === ENTRY_GITLINK || (passesBlobs && cursor.kind === ENTRY_BLOB)) continue;
      const child = store.findBytes(content, cursor.oidOffset);
      if (child < 0) throw missingReference(store, tree);
      if (this.#isKnown(child)) continue;
      if (cursor.kind === ENTRY_TREE) {
        this.#insert(child, OBJ_TREE);
        pending.push(child);
      } else {
        this.#insert(child, OBJ_BLOB);
      }
    }
    if (cursor.flaw !== undefined) throw malformedObject(store, tree, cursor.flaw);
  }

  #isKnown(object: number): boolean {
    const bit = this.bitmaps.bitOf(object);
    const word = bit >>> 5;
    const mask = 1 << (bit & 31);
    if (((this.words[word] as number) & mask) !== 0) return true;
    const { except } = this.#options;
    return except !== undefined && ((except.words[word] as number) & mask) !== 0;
  }

  #insert(object: number, type: ObjectType): void {
    const bit = this.bitmaps.bitOf(object);
    this.words[bit >>> 5] = (this.words[bit >>> 5] as number) | (1 << (bit & 31));
    if (bit >= this.bitmaps.packBits) this.#types[bit - this.bitmaps.packBits] = type;
  }
}
