/**
 * Answers that are nothing but whole packs, kept by what asked for them, so that a clone of all that the packs hold walks
 * nothing and hashes nothing once one has.
 *
 * A set takes from each of its packs all entries up to some offset; what lies behind is there a second time only (the bases that
 * completed a thin pack). It is asked for by whoever wants at least what the first one wanted, and nothing outside of it: then
 * his closure is the same. Deltas stay valid as they are: their bases lie in front of them in the same pack, or
 * are named and go along. No object goes twice, since the selection names each by the first pack that has it.
 *
 * Known to this process alone: the first one to ask after a restart pays for walk and checksum, some 4 ms of processor time for each
 * MiB, which a note at rest would not be worth.
 *
 * Memory: for each store and at most `MAX_SETS` of them, the names that were wanted.
 */
import type { Oid } from '../../bytes/oid.ts';
import type { ObjectStore } from '../object-store.ts';
import type { PackedObjects } from '../reading/packed-objects.ts';
import type { SelectionQuery } from '../selection.ts';
import { indexOfObject } from './selected-objects.ts';

type Store = ObjectStore & PackedObjects;

const MAX_SETS = 4;

export interface WholePack {
  readonly pack: number;
  /** How many entries, in the order of offsets. */
  readonly entries: number;
  /** Where the last of them ends. */
  readonly end: number;
}

export interface WholeSet {
  readonly packs: readonly WholePack[];
  readonly objects: number;
  /** SHA-1 of the set as one pack; undefined while it was not streamed to its end. */
  readonly checksum: Uint8Array | undefined;
}

interface KnownSet {
  readonly set: WholeSet;
  readonly wants: ReadonlySet<Oid>;
  /** Tags that came along by include-tag. */
  readonly tags: readonly Oid[];
}

const setsOf = new WeakMap<Store, KnownSet[]>();

/** What `query` has selected, where that is whole packs. */
export function wholeSetOf(store: Store, query: SelectionQuery, objects: Uint32Array): WholeSet | undefined {
  if (!asksForHistory(store, query)) return undefined;
  const packs = wholePacks(store, objects);
  return packs && { packs, objects: objects.length, checksum: undefined };
}

/** What selecting would give, where that is known to be whole packs. */
export function recallWholeSet(store: Store, query: SelectionQuery): WholeSet | undefined {
  if (!asksForHistory(store, query)) return undefined;
  const wants = new Set(query.wants);
  const tags = new Set(query.includeTags.map(({ tag }) => tag));
  const found = setsOf.get(store)?.find((known) => {
    for (const oid of known.wants) if (!wants.has(oid)) return false;
    if (known.tags.some((tag) => !wants.has(tag) && !tags.has(tag))) return false;
    return (
      query.wants.every((oid) => holds(store, known.set, oid)) && [...tags].every((tag) => holds(store, known.set, tag))
    );
  });
  return found?.set;
}

/** Keeps what `query` has selected, as it was found by `wholeSetOf` and streamed. */
export function rememberWholeSet(store: Store, query: SelectionQuery, set: WholeSet): void {
  const wants = new Set(query.wants);
  const tags = query.includeTags.flatMap(({ tag }) => (!wants.has(tag) && holds(store, set, tag) ? [tag] : []));
  const kept = setsOf.get(store) ?? [];
  setsOf.set(store, [{ set, wants, tags }, ...kept].slice(0, MAX_SETS));
}

/** Whole histories for someone who has nothing. */
function asksForHistory(store: Store, { haves, shallows, deepen, filter }: SelectionQuery): boolean {
  if (deepen.kind !== 'none' || filter.kind !== 'none' || shallows.length > 0) return false;
  return haves.every((oid) => store.find(oid) < 0);
}

/** Undefined where `objects` are not whole packs. */
function wholePacks(store: Store, objects: Uint32Array): readonly WholePack[] | undefined {
  const packs: WholePack[] = [];
  let at = 0;
  for (let pack = 0; pack < store.packCount; pack++) {
    const from = at;
    const behind = store.firstObject(pack) + store.objectsIn(pack);
    let last = -1;
    for (; at < objects.length && (objects[at] as number) < behind; at++) {
      last = Math.max(last, store.positionOf(objects[at] as number));
    }
    const entries = at - from;
    if (entries === 0) continue;
    if (last !== entries - 1) return undefined;
    for (let position = entries; position < store.objectsIn(pack); position++) {
      // What the entries may name as a delta's base must go along from where it lies first.
      const canonical = store.canonical(store.objectAtPosition(pack, position));
      if (indexOfObject(objects, canonical) < 0) return undefined;
    }
    packs.push({ pack, entries, end: store.entryEnd(store.objectAtPosition(pack, last)) });
  }
  return packs.length === 0 ? undefined : packs;
}

function holds(store: Store, set: WholeSet, oid: Oid): boolean {
  const object = store.find(oid);
  if (object < 0) return false;
  const pack = store.packOf(object);
  const whole = set.packs.find((one) => one.pack === pack);
  return whole !== undefined && store.positionOf(object) < whole.entries;
}
