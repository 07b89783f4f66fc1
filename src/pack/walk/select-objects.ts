/**
 * Which objects answer a fetch: exactly those that git's upload-pack would send (its pack-objects --revs with
 * --thin, --shallow, --filter and --include-tag).
 *
 *   1  find wants, haves and the client's boundary; follow tags to what they name
 *   2  deepening: the new boundary; parents of commits that are no longer shallow become wants
 *   3  walk the commits, cut at both boundaries, without those that the haves reach
 *   4  mark the trees and blobs that the client has at the edge of what is new
 *   5  walk the new commits' trees under the filter
 *   6  add the tags whose target is sent
 *
 * Where no history is cut and the store has bitmaps, sets take the place of 2 to 5 (bitmap-selection.ts).
 *
 * Objects that the client has deep in its history can be sent again where git sends them; nothing that it
 * lacks is ever left out. Memory: a bit an object for the result, 4 bytes for the commit graph, and where histories are walked a byte, a bit
 * where they are cut and up to 4 bytes for a depth filter; and the lists of the result.
 */
import { HotpackError } from '../../bytes/error.ts';
import type { Oid } from '../../bytes/oid.ts';
import type { StoreBitmaps } from '../bitmap/store-bitmaps.ts';
import { OBJ_COMMIT } from '../codec/object-type.ts';
import type { ObjectStore } from '../object-store.ts';
import { NO_OBJECTS, type ObjectSet, type Selection, type SelectionQuery } from '../selection.ts';
import { Bitset } from './bitset.ts';
import { type Boundary, findBoundary } from './commits/boundary.ts';
import { MISSING } from './commits/commit-graph.ts';
import { isShortWalk, walkLimited } from './commits/limited-walk.ts';
import type { WalkOptions } from './contract.ts';
import { isSetFilter, selectByBitmaps } from './selecting/bitmap-selection.ts';
import { markChangedPaths, markWholeTree } from './selecting/edge-trees.ts';
import { type CompiledFilter, compileFilter, keepsEverything, keepsType } from './filtering/compiled-filter.ts';
import { CLIENT_BASE, UNINTERESTING } from './selecting/marks.ts';
import { addTagsOfSelected } from './selecting/include-tags.ts';
import { addToEndPoints, type EndPoints, noEndPoints } from './end-points.ts';
import { TreeSelection } from './selecting/tree-selection.ts';
import { missingReference, WalkContext } from './walk-context.ts';

/** So many commits of a client, with their trees, are walked to a stored set without asking whether another way is shorter. */
const FEW_COMMITS = 64;
/** So many commits between a client and what it wants are walked rather than found by sets that are far away. */
const SHORT_WALK = 512;
const NO_MARKS = new Uint8Array(0);
const NOTHING_MOVES: Boundary = { shallow: [], unshallow: [] };

/**
 * Rejects with `not_our_ref` where a want or a sparse filter's blob is absent, `unsupported` where a deepening
 * leaves no commit, `missing_object` where the store is not closed, `malformed_pack`, `limit_exceeded`, `aborted`.
 */
export async function selectObjects(
  store: ObjectStore,
  query: SelectionQuery,
  options: WalkOptions,
): Promise<Selection> {
  const context = new WalkContext(store, options);
  return await new Selecting(context, query, await compileFilter(context, query.filter)).run();
}

class Selecting {
  readonly #context: WalkContext;
  readonly #query: SelectionQuery;
  readonly #filter: CompiledFilter;
  readonly #selected: Bitset;
  /** Of walking alone, which begins with as many as there are objects. */
  #marks: Uint8Array = NO_MARKS;

  constructor(context: WalkContext, query: SelectionQuery, filter: CompiledFilter) {
    this.#context = context;
    this.#query = query;
    this.#filter = filter;
    this.#selected = new Bitset(context.store.objectCount);
  }

  async run(): Promise<Selection> {
    const { store } = this.#context;
    const bitmaps = this.#dependsOnPaths() ? undefined : await this.#context.openBitmaps();
    const wants = await this.#resolveWants();
    const haves = await this.#resolveHaves();
    const had = bitmaps === undefined ? 'not-worth-it' : await this.#selectByBitmaps(bitmaps, wants, haves);
    const isWalked = had === 'not-worth-it';
    const { shallow, unshallow } = isWalked ? await this.#selectByWalking(wants, haves) : NOTHING_MOVES;
    await addTagsOfSelected(this.#context, this.#query.includeTags, this.#selected);
    return {
      objects: this.#selected.toNumbers(),
      clientHas: isWalked ? this.#clientBases() : had,
      shallow: namesOf(store, shallow),
      unshallow: namesOf(store, unshallow),
    };
  }

  /** Whether the answer depends on more than which commits are wanted and which are there. */
  #dependsOnPaths(): boolean {
    const { deepen, shallows } = this.#query;
    return deepen.kind !== 'none' || shallows.length > 0 || !isSetFilter(this.#filter);
  }

  /** `not-worth-it` where walking is the shorter way: where the client is near, and far from any stored set. */
  async #selectByBitmaps(
    bitmaps: StoreBitmaps,
    wants: EndPoints,
    haves: EndPoints,
  ): Promise<ObjectSet | 'not-worth-it'> {
    const query = { wants, haves, filter: this.#filter, thin: this.#query.thin };
    const context = this.#context;
    const near = await selectByBitmaps(context, bitmaps, { ...query, mostNewHaves: FEW_COMMITS }, this.#selected);
    if (near !== 'not-worth-it') return near;
    const walk = {
      interesting: wants.commits,
      uninteresting: haves.commits,
      cut: undefined,
      sinceSeconds: undefined,
    };
    const marks = new Uint8Array(context.store.objectCount);
    if (await isShortWalk(context, walk, { most: SHORT_WALK, marks })) return 'not-worth-it';
    const mostNewHaves = Number.POSITIVE_INFINITY;
    return await selectByBitmaps(context, bitmaps, { ...query, mostNewHaves }, this.#selected);
  }

  async #selectByWalking(wants: EndPoints, haves: EndPoints): Promise<Boundary> {
    this.#marks = new Uint8Array(this.#context.store.objectCount);
    const shallows = await this.#resolveShallows();
    const boundary = await findBoundary(this.#context, {
      wants: wants.commits,
      shallows,
      not: await this.#resolveNot(),
      deepen: this.#query.deepen,
    });
    await this.#wantParentsOf(boundary.unshallow, wants);
    const cut = this.#cutAt(shallows, boundary);
    haves.commits.push(...boundary.unshallow);

    for (const object of [...haves.tags, ...haves.blobs]) this.#mark(object, UNINTERESTING);
    for (const tree of haves.trees) await markWholeTree(this.#context, tree, this.#marks);
    const commits = await walkLimited(
      this.#context,
      {
        interesting: wants.commits,
        uninteresting: haves.commits,
        cut,
        sinceSeconds: undefined,
      },
      this.#marks,
    );
    await this.#markEdges(commits, haves.commits, cut);
    await this.#select(commits, wants);
    return boundary;
  }

  async #resolveWants(): Promise<EndPoints> {
    const wants = noEndPoints();
    for (const oid of this.#query.wants) {
      const object = this.#context.store.find(oid);
      if (object < 0) {
        throw new HotpackError('not_our_ref', `wanted object ${oid} does not exist here`, {
          detail: { object: oid },
        });
      }
      await addToEndPoints(this.#context, object, wants);
    }
    return wants;
  }

  async #resolveHaves(): Promise<EndPoints> {
    const haves = noEndPoints();
    for (const oid of this.#query.haves) {
      const object = this.#context.store.find(oid);
      if (object >= 0) await addToEndPoints(this.#context, object, haves);
    }
    return haves;
  }

  async #resolveShallows(): Promise<number[]> {
    const { store, signal } = this.#context;
    const shallows = new Set<number>();
    for (const oid of this.#query.shallows) {
      const object = store.find(oid);
      if (object < 0) continue;
      if ((await store.typeOf(object, signal)) !== OBJ_COMMIT) {
        throw new HotpackError('malformed_request', `shallow object ${oid} is not a commit`, {
          detail: { object: oid },
        });
      }
      shallows.add(object);
    }
    return [...shallows].toSorted((a, b) => a - b);
  }

  async #resolveNot(): Promise<number[]> {
    const { deepen } = this.#query;
    const not = noEndPoints();
    if (deepen.kind !== 'revs') return not.commits;
    for (const oid of deepen.not) {
      const object = this.#context.store.find(oid);
      if (object < 0) {
        throw new HotpackError('unknown_ref', `deepen-not object ${oid} does not exist here`, {
          detail: { object: oid },
        });
      }
      await addToEndPoints(this.#context, object, not);
    }
    return not.commits;
  }

  async #wantParentsOf(unshallow: readonly number[], wants: EndPoints): Promise<void> {
    const { graph, store } = this.#context;
    for (const commit of unshallow) {
      let slot = this.#context.commitNow(commit);
      if (slot < 0) slot = await this.#context.commit(commit);
      for (let i = graph.parentsFrom(slot); i < graph.parentsTo(slot); i++) {
        const parent = graph.parent(i);
        if (parent === MISSING) throw missingReference(store, commit);
        wants.commits.push(parent);
      }
    }
  }

  #cutAt(shallows: readonly number[], boundary: Boundary): Bitset | undefined {
    if (shallows.length + boundary.shallow.length === 0) return undefined;
    const cut = new Bitset(this.#context.store.objectCount);
    for (const commit of shallows) cut.add(commit);
    for (const commit of boundary.shallow) cut.add(commit);
    return cut;
  }

  async #markEdges(commits: readonly number[], haves: readonly number[], cut: Bitset | undefined): Promise<void> {
    const isCut = (commit: number): boolean => cut?.has(commit) ?? false;
    if (haves.length > 0) {
      await markChangedPaths(this.#context, commits, { marks: this.#marks, isCut });
    }
    if (cut === undefined || !this.#query.thin) return;
    for (const commit of haves) {
      const tree = this.#context.graph.treeAt(this.#context.graph.slotOf(commit));
      if (tree !== MISSING) await markWholeTree(this.#context, tree, this.#marks);
    }
  }

  async #select(commits: readonly number[], wants: EndPoints): Promise<void> {
    const { graph, store } = this.#context;
    const trees = new TreeSelection(this.#context, this.#filter, { marks: this.#marks, selected: this.#selected });
    for (const object of [...wants.tags, ...wants.blobs]) this.#send(object);
    for (const tree of wants.trees) await trees.addWanted(tree);
    if (keepsType(this.#filter, OBJ_COMMIT)) for (const commit of commits) this.#send(commit);
    else for (const commit of wants.commits) this.#send(commit);
    if (trees.looksIntoTrees) {
      for (const commit of commits) {
        if (this.#has(commit, UNINTERESTING)) continue;
        const tree = graph.treeAt(graph.slotOf(commit));
        if (tree !== MISSING) await trees.addRoot(tree);
        else if (this.#filter.treeDepth > 0) throw missingReference(store, commit);
      }
    }
    await trees.finish();
  }

  #send(object: number): void {
    if (!this.#has(object, UNINTERESTING)) this.#selected.add(object);
  }

  /** A client that filters need not have what its filter leaves out, so that cannot serve as a base. */
  #clientBases(): ObjectSet {
    if (!this.#query.thin || !keepsEverything(this.#filter)) return NO_OBJECTS;
    const marks = this.#marks;
    return { has: (object) => ((marks[object] as number) & CLIENT_BASE) !== 0 };
  }

  #has(object: number, bit: number): boolean {
    return ((this.#marks[object] as number) & bit) !== 0;
  }

  #mark(object: number, bit: number): void {
    this.#marks[object] = (this.#marks[object] as number) | bit;
  }
}

function namesOf(store: ObjectStore, objects: readonly number[]): Oid[] {
  return objects.map((object) => store.oidOf(object)).toSorted();
}
