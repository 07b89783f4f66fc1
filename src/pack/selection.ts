/**
 * What a fetch asks of the engine and what selecting gives back. Platform- and protocol-free: `serve`
 * translates a parsed request into a `SelectionQuery`.
 */
import type { Oid } from '../bytes/oid.ts';

/** A filter as git's rev-list --filter names it, sizes in bytes. `combine` keeps what every part keeps. */
export type ObjectFilter =
  | { readonly kind: 'none' }
  | { readonly kind: 'blob-none' }
  | { readonly kind: 'blob-limit'; readonly bytes: number }
  | { readonly kind: 'tree'; readonly depth: number }
  | { readonly kind: 'object-type'; readonly type: 'commit' | 'tree' | 'blob' | 'tag' }
  | { readonly kind: 'sparse-oid'; readonly oid: Oid }
  | { readonly kind: 'combine'; readonly parts: readonly ObjectFilter[] };

/** `depth` counts commits from each want, 1 = the want itself; `relative`: from the client's boundary instead. */
export type Deepen =
  | { readonly kind: 'none' }
  | { readonly kind: 'depth'; readonly depth: number; readonly relative: boolean }
  /** deepen-since and deepen-not may come together. `not` holds commits already resolved from ref names. */
  | { readonly kind: 'revs'; readonly sinceSeconds: number | undefined; readonly not: readonly Oid[] };

export interface SelectionQuery {
  /** Present in the store. Any type. Explicitly wanted objects are always selected, whatever the filter says. */
  readonly wants: readonly Oid[];
  /** Objects the client says it has; those that the store lacks are ignored. */
  readonly haves: readonly Oid[];
  /** The client's present boundary: commits whose parents it lacks. */
  readonly shallows: readonly Oid[];
  readonly deepen: Deepen;
  readonly filter: ObjectFilter;
  /** Annotated tags to add when the object they (finally) point to is selected (include-tag). */
  readonly includeTags: readonly { readonly tag: Oid; readonly peeled: Oid }[];
  /** Collect what the client has at the boundary, so that deltas against it can be sent (thin-pack). */
  readonly thin: boolean;
}

/** Object numbers that are asked about one by one. */
export interface ObjectSet {
  has(object: number): boolean;
}

export const NO_OBJECTS: ObjectSet = { has: () => false };

export interface Selection {
  /** Object numbers to send, each once, ascending. */
  readonly objects: Uint32Array;
  /** What the client is known to have, empty unless `thin`. */
  readonly clientHas: ObjectSet;
  /** New boundary to tell the client (`shallow` lines), sorted; empty unless deepening. */
  readonly shallow: readonly Oid[];
  /** Commits whose parents are now sent (`unshallow` lines), sorted. */
  readonly unshallow: readonly Oid[];
}
