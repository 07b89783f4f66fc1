/**
 * What one walk works with: the store, its commit graph, the pace it keeps and the counters it fills.
 * Every read comes in two forms, as the store's: `…Now` answers from memory or not at all, so that the common
 * case costs no promise; where it has no answer the walk awaits the other form.
 */
import { raceSignal } from '../../bytes/abort.ts';
import type { StoreBitmaps } from '../bitmap/store-bitmaps.ts';
import { OBJ_TREE, type ObjectType } from '../codec/object-type.ts';
import { HotpackError } from '../../bytes/error.ts';
import type { GitObject, ObjectStore } from '../object-store.ts';
import { type CommitGraph, commitGraphOf } from './commits/commit-graph.ts';
import { createWalkCounters, type WalkCounters, type WalkOptions } from './contract.ts';
import { Pace } from './pace.ts';
import { malformedObject, wrongType } from './parsing/malformed-object.ts';
import { parseTagHead } from './parsing/tag.ts';

export interface TagTarget {
  readonly target: number;
  readonly type: ObjectType;
}

export class WalkContext {
  readonly store: ObjectStore;
  readonly graph: CommitGraph;
  readonly pace: Pace;
  readonly signal: AbortSignal;
  readonly counters: WalkCounters;
  /** Once `openBitmaps` was called and found some. */
  bitmaps: StoreBitmaps | undefined;

  constructor(store: ObjectStore, options: WalkOptions) {
    this.store = store;
    this.graph = commitGraphOf(store);
    this.signal = options.signal;
    this.pace = new Pace(options.signal);
    this.counters = options.counters ?? createWalkCounters();
  }

  /** Has the walk know the store's bitmaps, where there are any. */
  async openBitmaps(): Promise<StoreBitmaps | undefined> {
    this.bitmaps = await raceSignal(this.store.bitmaps?.() ?? Promise.resolve(undefined), this.signal);
    return this.bitmaps;
  }

  async typeOf(object: number): Promise<ObjectType> {
    const { bitmaps } = this;
    const bit = bitmaps === undefined ? -1 : bitmaps.bitOf(object);
    const known = bitmaps !== undefined && bit < bitmaps.packBits ? bitmaps.typeAt(bit) : undefined;
    return known ?? (await this.store.typeOf(object, this.signal));
  }

  /** The commit's slot in the graph, or -1 where its content must be awaited. */
  commitNow(commit: number): number {
    const slot = this.graph.slotOf(commit);
    if (slot >= 0) return slot;
    const object = this.store.readCached(commit);
    return object === undefined ? -1 : this.#addCommit(commit, object);
  }

  async commit(commit: number): Promise<number> {
    return this.#addCommit(commit, await this.store.read(commit, this.signal));
  }

  #addCommit(commit: number, object: GitObject): number {
    this.counters.commitsRead++;
    return this.graph.add(commit, object);
  }

  /** A tree's content, or `undefined` where it must be awaited. */
  treeNow(tree: number): Uint8Array | undefined {
    const object = this.store.readCached(tree);
    return object === undefined ? undefined : this.#treeContent(tree, object);
  }

  async tree(tree: number): Promise<Uint8Array> {
    return this.#treeContent(tree, await this.store.read(tree, this.signal));
  }

  #treeContent(tree: number, object: GitObject): Uint8Array {
    this.counters.treesRead++;
    if (object.type !== OBJ_TREE) {
      throw wrongType(this.store, tree, { expected: OBJ_TREE, found: object.type });
    }
    return object.content;
  }

  /** What the tag names; `target` is -1 where the store lacks it. */
  async tag(tag: number): Promise<TagTarget> {
    const object = this.store.readCached(tag) ?? (await this.store.read(tag, this.signal));
    this.counters.tagsRead++;
    const head = parseTagHead(object.content);
    if ('flaw' in head) throw malformedObject(this.store, tag, head.flaw);
    return { target: this.store.findBytes(head.target, 0), type: head.type };
  }
}

/** The error for an object that `referrer` names and the store lacks. */
export function missingReference(store: ObjectStore, referrer: number): HotpackError {
  const referredToBy = store.oidOf(referrer);
  return new HotpackError('missing_object', `an object that ${referredToBy} refers to is missing`, {
    detail: { referredToBy },
  });
}
