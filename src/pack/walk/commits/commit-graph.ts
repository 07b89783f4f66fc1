/**
 * The commits of one store that some walk has parsed: their tree, parents and time, as object numbers in
 * struct-of-arrays tables that later walks over the same store find filled.
 *
 * Memory: 4 bytes an object of the store, and a commit 20 bytes and 4 a parent.
 */
import { OID_BYTES } from '../../../bytes/oid.ts';
import { OBJ_COMMIT } from '../../codec/object-type.ts';
import type { GitObject, ObjectStore } from '../../object-store.ts';
import { CommitHead, parseCommitHead } from '../parsing/commit.ts';
import { malformedObject, wrongType } from '../parsing/malformed-object.ts';

/** Stands for an object that the store lacks. */
export const MISSING = 0xffff_ffff;

const FIRST_CAPACITY = 1024;
const graphs = new WeakMap<ObjectStore, CommitGraph>();

/** The one graph of `store`; it lives as long as the store does. */
export function commitGraphOf(store: ObjectStore): CommitGraph {
  let graph = graphs.get(store);
  if (graph === undefined) {
    graph = new CommitGraph(store);
    graphs.set(store, graph);
  }
  return graph;
}

export class CommitGraph {
  readonly #store: ObjectStore;
  readonly #head = new CommitHead();
  /** Slot + 1 by object number; 0 = not parsed. */
  readonly #slots: Uint32Array;
  #used = 0;
  /** By slot: object number of the root tree, or MISSING. */
  #trees = new Uint32Array(FIRST_CAPACITY);
  /** By slot: the committer's time in seconds, 0 = none. */
  #times = new Float64Array(FIRST_CAPACITY);
  /** By slot: where its parents begin in `#parents`; the next slot's entry is where they end. */
  #starts = new Uint32Array(FIRST_CAPACITY + 1);
  /** Object numbers, or MISSING. */
  #parents = new Uint32Array(FIRST_CAPACITY);

  constructor(store: ObjectStore) {
    this.#store = store;
    this.#slots = new Uint32Array(store.objectCount);
  }

  /** The commit's slot, or -1 where it was not parsed yet. */
  slotOf(commit: number): number {
    return (this.#slots[commit] as number) - 1;
  }

  treeAt(slot: number): number {
    return this.#trees[slot] as number;
  }

  secondsAt(slot: number): number {
    return this.#times[slot] as number;
  }

  /** Parents of `slot` are `parent(i)` for i from `parentsFrom` up to, not including, `parentsTo`. */
  parentsFrom(slot: number): number {
    return this.#starts[slot] as number;
  }

  parentsTo(slot: number): number {
    return this.#starts[slot + 1] as number;
  }

  parent(index: number): number {
    return this.#parents[index] as number;
  }

  /** Parses `object`, the content of `commit`, and returns its slot. `malformed_pack` where it is no commit. */
  add(commit: number, object: GitObject): number {
    const present = this.slotOf(commit);
    if (present >= 0) return present;
    if (object.type !== OBJ_COMMIT) {
      throw wrongType(this.#store, commit, { expected: OBJ_COMMIT, found: object.type });
    }
    const head = this.#head;
    const flaw = parseCommitHead(object.content, head);
    if (flaw !== undefined) throw malformedObject(this.#store, commit, flaw);
    const slot = this.#used;
    this.#reserve(head.parentCount);
    this.#trees[slot] = this.#numberAt(0);
    this.#times[slot] = head.committerSeconds;
    let end = this.#starts[slot] as number;
    for (let i = 1; i <= head.parentCount; i++) this.#parents[end++] = this.#numberAt(i);
    this.#starts[slot + 1] = end;
    this.#used = slot + 1;
    this.#slots[commit] = slot + 1;
    return slot;
  }

  #numberAt(index: number): number {
    const number = this.#store.findBytes(this.#head.names, index * OID_BYTES);
    return number < 0 ? MISSING : number;
  }

  #reserve(parentCount: number): void {
    if (this.#used === this.#trees.length) {
      const capacity = this.#used * 2;
      this.#trees = copyInto(new Uint32Array(capacity), this.#trees);
      this.#times = copyInto(new Float64Array(capacity), this.#times);
      this.#starts = copyInto(new Uint32Array(capacity + 1), this.#starts);
    }
    const needed = (this.#starts[this.#used] as number) + parentCount;
    if (needed > this.#parents.length) {
      const capacity = Math.max(needed, this.#parents.length * 2);
      this.#parents = copyInto(new Uint32Array(capacity), this.#parents);
    }
  }
}

function copyInto<T extends Uint32Array | Float64Array>(larger: T, smaller: T): T {
  larger.set(smaller);
  return larger;
}
