/**
 * Walks everything that some roots refer to, each object once, and stops at the first that is absent. All but
 * blobs are read and must be of the type they are referred to as. A commit's trees are walked before the next
 * commit, so that neighbouring versions of a tree are read one after the other.
 */
import { OID_BYTES, type Oid, oidFromBytes } from '../../bytes/oid.ts';
import { OBJ_BLOB, OBJ_COMMIT, OBJ_TAG, OBJ_TREE, type ObjectType } from '../codec/object-type.ts';
import { Bitset } from './bitset.ts';
import type { ClosureCheck } from './contract.ts';
import { CommitHead, parseCommitHead } from './parsing/commit.ts';
import { malformedObject, wrongType } from './parsing/malformed-object.ts';
import { parseTagHead } from './parsing/tag.ts';
import { ENTRY_GITLINK, ENTRY_TREE, TreeCursor } from './parsing/tree.ts';
import type { WalkContext } from './walk-context.ts';

type Absent = { readonly missing: Oid; readonly referredToBy: Oid | undefined };

export class ClosureWalk {
  readonly reached: Bitset;
  readonly #context: WalkContext;
  readonly #head = new CommitHead();
  readonly #cursor = new TreeCursor();
  readonly #commits: number[] = [];
  readonly #trees: number[] = [];
  readonly #tags: number[] = [];
  #absent: Absent | undefined = undefined;

  constructor(context: WalkContext) {
    this.#context = context;
    this.reached = new Bitset(context.store.objectCount);
  }

  async run(roots: readonly Oid[]): Promise<ClosureCheck> {
    const { store, signal } = this.#context;
    for (const oid of roots) {
      const root = store.find(oid);
      if (root < 0) return { complete: false, missing: oid, referredToBy: undefined };
      this.#reach(root, await store.typeOf(root, signal));
      const absent = await this.#drain();
      if (absent !== undefined) return { complete: false, ...absent };
    }
    return { complete: true };
  }

  #reach(object: number, type: ObjectType): void {
    if (this.reached.has(object)) return;
    this.reached.add(object);
    if (type === OBJ_COMMIT) this.#commits.push(object);
    else if (type === OBJ_TREE) this.#trees.push(object);
    else if (type === OBJ_TAG) this.#tags.push(object);
  }

  async #drain(): Promise<Absent | undefined> {
    while (this.#absent === undefined) {
      const tree = this.#trees.pop();
      if (tree !== undefined) {
        this.#enterTree(tree, await this.#content(tree, OBJ_TREE));
        continue;
      }
      const commit = this.#commits.pop();
      if (commit !== undefined) {
        this.#enterCommit(commit, await this.#content(commit, OBJ_COMMIT));
        continue;
      }
      const tag = this.#tags.pop();
      if (tag === undefined) return undefined;
      this.#enterTag(tag, await this.#content(tag, OBJ_TAG));
    }
    return this.#absent;
  }

  async #content(number: number, expected: ObjectType): Promise<Uint8Array> {
    const { store, signal, pace, counters } = this.#context;
    const object = store.readCached(number) ?? (await store.read(number, signal));
    if (object.type !== expected) throw wrongType(store, number, { expected, found: object.type });
    if (expected === OBJ_TREE) counters.treesRead++;
    else if (expected === OBJ_COMMIT) counters.commitsRead++;
    else counters.tagsRead++;
    if (pace.spend(object.content.length)) await pace.pause();
    return object.content;
  }

  #enterTree(tree: number, content: Uint8Array): void {
    const cursor = this.#cursor;
    cursor.open(content);
    while (cursor.next()) {
      if (cursor.kind === ENTRY_GITLINK) continue;
      const type = cursor.kind === ENTRY_TREE ? OBJ_TREE : OBJ_BLOB;
      if (!this.#refer(tree, content, { offset: cursor.oidOffset, type })) return;
    }
    if (cursor.flaw !== undefined) throw malformedObject(this.#context.store, tree, cursor.flaw);
  }

  #enterCommit(commit: number, content: Uint8Array): void {
    const head = this.#head;
    const flaw = parseCommitHead(content, head);
    if (flaw !== undefined) throw malformedObject(this.#context.store, commit, flaw);
    for (let i = head.parentCount; i >= 0; i--) {
      const type = i === 0 ? OBJ_TREE : OBJ_COMMIT;
      if (!this.#refer(commit, head.names, { offset: i * OID_BYTES, type })) return;
    }
  }

  #enterTag(tag: number, content: Uint8Array): void {
    const head = parseTagHead(content);
    if ('flaw' in head) throw malformedObject(this.#context.store, tag, head.flaw);
    this.#refer(tag, head.target, { offset: 0, type: head.type });
  }

  /** False where the object is absent: then the walk is over. */
  #refer(from: number, table: Uint8Array, to: { readonly offset: number; readonly type: ObjectType }): boolean {
    const { store } = this.#context;
    const object = store.findBytes(table, to.offset);
    if (object >= 0) {
      this.#reach(object, to.type);
      return true;
    }
    this.#absent = { missing: oidFromBytes(table, to.offset), referredToBy: store.oidOf(from) };
    return false;
  }
}
