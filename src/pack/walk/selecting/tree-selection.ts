/**
 * Selects the trees and blobs below the trees of new commits, under a filter. Depth first over a stack of its
 * own. Three ways, by what the filter makes the outcome depend on:
 *
 *   nothing   each tree is entered once
 *   depth     a tree is entered again where it is found less deep than before (git's tree:<depth>)
 *   path      a tree is entered once for each path it has (git's sparse:oid, and with it any depth)
 *
 * An explicitly wanted tree is sent whatever the filter says, and its entries count as depth 0, as in git.
 * Blobs whose size decides are collected and asked for at the end.
 *
 * Memory: for depth 4 bytes an object; for paths one map entry a path and a set entry a tree and path.
 */
import { OBJ_BLOB, OBJ_TREE } from '../../codec/object-type.ts';
import { type CompiledFilter, keepsType } from '../filtering/compiled-filter.ts';
import { latin1 } from '../filtering/sparse-patterns.ts';
import { type FilterPath, PathVerdicts } from '../filtering/path-verdicts.ts';
import { SEEN, UNINTERESTING } from './marks.ts';
import { addSmallBlobs } from './small-blobs.ts';
import { malformedObject } from '../parsing/malformed-object.ts';
import { ENTRY_BLOB, ENTRY_GITLINK, ENTRY_TREE, TreeCursor } from '../parsing/tree.ts';
import type { Bitset } from '../bitset.ts';
import { missingReference, type WalkContext } from '../walk-context.ts';

const PASSED = SEEN | UNINTERESTING;

export class TreeSelection {
  readonly #context: WalkContext;
  readonly #filter: CompiledFilter;
  readonly #marks: Uint8Array;
  readonly #selected: Bitset;
  readonly #cursor = new TreeCursor();
  readonly #trees: number[] = [];
  readonly #depths: number[] = [];
  readonly #paths: FilterPath[] = [];
  /** Depth + 1 at which a tree was entered; 0 = never. */
  readonly #entered: Uint32Array | undefined;
  readonly #verdicts: PathVerdicts | undefined;
  readonly #keepsTrees: boolean;
  readonly #keepsBlobs: boolean;
  readonly #unsized: number[] = [];

  /** What is chosen becomes a member of `selected`; `marks` say what is known. */
  constructor(
    context: WalkContext,
    filter: CompiledFilter,
    sets: { readonly marks: Uint8Array; readonly selected: Bitset },
  ) {
    this.#context = context;
    this.#filter = filter;
    this.#marks = sets.marks;
    this.#selected = sets.selected;
    this.#keepsTrees = keepsType(filter, OBJ_TREE);
    this.#keepsBlobs = keepsType(filter, OBJ_BLOB) && filter.blobBytes > 0;
    this.#verdicts = filter.sparse.length > 0 ? new PathVerdicts(filter.sparse) : undefined;
    this.#entered =
      this.#verdicts === undefined && Number.isFinite(filter.treeDepth)
        ? new Uint32Array(context.store.objectCount)
        : undefined;
  }

  /** Whether any tree has to be looked into. */
  get looksIntoTrees(): boolean {
    return this.#keepsTrees || this.#keepsBlobs;
  }

  /** The root tree of a commit that is sent. */
  async addRoot(tree: number): Promise<void> {
    this.#offer(tree, 0, this.#verdicts?.root);
    await this.#drain();
  }

  /** A tree that was asked for by name. */
  async addWanted(tree: number): Promise<void> {
    if (this.#is(tree, UNINTERESTING)) return;
    this.#selected.add(tree);
    if (this.#verdicts === undefined && this.#entered === undefined) this.#set(tree, SEEN);
    this.#push(tree, -1, this.#verdicts?.wanted);
    await this.#drain();
  }

  /** Decides on the blobs that a size limit left open. */
  async finish(): Promise<void> {
    const blobs = this.#unsized.splice(0);
    await addSmallBlobs(this.#context, blobs, { below: this.#filter.blobBytes, selected: this.#selected });
  }

  /** A tree found at `depth`: selects it and has it entered where the filter says so. */
  #offer(tree: number, depth: number, path: FilterPath | undefined): void {
    if (this.#is(tree, UNINTERESTING) || depth >= this.#filter.treeDepth) return;
    if (path !== undefined && this.#verdicts !== undefined) {
      if (!this.#verdicts.enter(path, tree)) return;
    } else if (this.#entered === undefined) {
      if (this.#is(tree, SEEN)) return;
      this.#set(tree, SEEN);
    } else {
      const before = this.#entered[tree] as number;
      if (before !== 0 && before <= depth + 1) return;
      this.#entered[tree] = depth + 1;
    }
    if (this.#keepsTrees) this.#selected.add(tree);
    this.#push(tree, depth, path);
  }

  #push(tree: number, depth: number, path: FilterPath | undefined): void {
    this.#trees.push(tree);
    this.#depths.push(depth);
    if (path !== undefined) this.#paths.push(path);
  }

  async #drain(): Promise<void> {
    const { pace } = this.#context;
    for (let tree = this.#trees.pop(); tree !== undefined; tree = this.#trees.pop()) {
      const depth = (this.#depths.pop() as number) + 1;
      const path = this.#verdicts === undefined ? undefined : this.#paths.pop();
      if (depth >= this.#filter.treeDepth) continue;
      const content = this.#context.treeNow(tree) ?? (await this.#context.tree(tree));
      this.#enter(tree, content, { depth, path });
      if (pace.spend(content.length)) await pace.pause();
    }
  }

  #enter(
    tree: number,
    content: Uint8Array,
    at: { readonly depth: number; readonly path: FilterPath | undefined },
  ): void {
    const { store } = this.#context;
    const cursor = this.#cursor;
    const marks = this.#marks;
    cursor.open(content);
    while (cursor.next()) {
      if (cursor.kind === ENTRY_GITLINK) continue;
      if (cursor.kind === ENTRY_BLOB && !this.#keepsBlobs) continue;
      const child = store.findBytes(content, cursor.oidOffset);
      if (child < 0) throw missingReference(store, tree);
      if (((marks[child] as number) & PASSED) !== 0) continue;
      if (at.path === undefined) {
        if (cursor.kind === ENTRY_TREE) this.#offer(child, at.depth, undefined);
        else this.#keepBlob(child);
        continue;
      }
      const name = latin1(content.subarray(cursor.nameStart, cursor.nameEnd));
      const verdicts = this.#verdicts as PathVerdicts;
      if (cursor.kind === ENTRY_TREE) this.#offer(child, at.depth, verdicts.folder(at.path, name));
      else if (verdicts.keepsFile(at.path, name)) this.#keepBlob(child);
    }
    if (cursor.flaw !== undefined) throw malformedObject(store, tree, cursor.flaw);
  }

  #keepBlob(blob: number): void {
    this.#set(blob, SEEN);
    if (this.#filter.blobBytes === Number.POSITIVE_INFINITY) this.#selected.add(blob);
    else if (!this.#selected.has(blob)) this.#unsized.push(blob);
  }

  #is(object: number, bits: number): boolean {
    return ((this.#marks[object] as number) & bits) !== 0;
  }

  #set(object: number, bits: number): void {
    this.#marks[object] = (this.#marks[object] as number) | bits;
  }
}
