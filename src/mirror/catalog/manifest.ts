/**
 * The manifest: which packs a mirror has. It is the only thing that changes by compare-and-swap; everything it names
 * is immutable. JSON, at most 1 MiB.
 */
import * as v from 'valibot';
import { HotpackError } from '../../bytes/error.ts';
import type { Oid } from '../../bytes/oid.ts';

export interface PackRecord {
  /** `pack-<40 hex>`, unique for ever: drawn at random when the pack's upload begins. */
  readonly name: string;
  readonly objects: number;
  readonly packBytes: number;
  /** SHA-1 trailer of the pack. */
  readonly checksum: Oid;
  /** Where bases that completed a thin pack begin, and how many; end of the entries and 0 where none. */
  readonly tailOffset: number;
  readonly tailObjects: number;
  readonly class: PackClass;
  /** How many publications went into it. */
  readonly pushes: number;
}

/**
 * `branches`: these packs together hold all that HEAD, branches and tags reach, and need no other pack. `others`: what was
 * fetched for other refs, or asked for by hash; it may refer to objects of all packs.
 */
export type PackClass = 'branches' | 'others';

/** Those of class `branches`, which are the first ones of a manifest. */
export function ofBranches(packs: readonly PackRecord[]): readonly PackRecord[] {
  return packs.filter((pack) => pack.class === 'branches');
}

export function bytesOf(packs: readonly PackRecord[]): number {
  return packs.reduce((sum, pack) => sum + pack.packBytes, 0);
}

/**
 * A tip whose closure is here although no advertised ref reaches it any more, or never did (a pull request's
 * merge that was asked for by hash). What only strays reach may be served only while upstream's own yes to it is young.
 */
export interface Stray {
  readonly oid: Oid;
  /** When upstream last gave this object to somebody; 0: only by a ref that is gone. */
  readonly confirmedAtMs: number;
}

/** A pack that no manifest names any more, and since when: readers that opened it before get a day to finish. */
export interface Garbage {
  readonly name: string;
  readonly sinceMs: number;
  /** The pack that was made of it and holds all its objects: what was built on the one is built on the other. */
  readonly heldBy?: string | undefined;
}

/** Who could read the repository, as far as anonymous requests told: a change between the first two empties the mirror. */
export type Visibility = 'public' | 'private' | 'unknown';

export interface Manifest {
  /** Those of class `branches` first, and within each class in order: a thin pack's bases lie in packs before it. */
  readonly packs: readonly PackRecord[];
  readonly strays: readonly Stray[];
  readonly garbage: readonly Garbage[];
  readonly visibility: Visibility;
  readonly updatedAtMs: number;
}

const oid = v.pipe(v.string(), v.regex(/^[0-9a-f]{40}$/));
const packName = v.pipe(v.string(), v.regex(/^pack-[0-9a-f]{40}$/));
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

const SCHEMA = v.object({
  format: v.literal(1),
  packs: v.array(
    v.object({
      name: packName,
      objects: count,
      packBytes: count,
      checksum: oid,
      tailOffset: count,
      tailObjects: count,
      class: v.optional(v.picklist(['branches', 'others']), 'branches'),
      pushes: v.optional(count, 1),
    }),
  ),
  strays: v.array(v.object({ oid, confirmedAtMs: count })),
  garbage: v.array(v.object({ name: packName, sinceMs: count, heldBy: v.optional(packName) })),
  visibility: v.picklist(['public', 'private', 'unknown']),
  updatedAtMs: count,
  nonce: v.string(),
});

export function emptyManifest(visibility: Visibility, nowMs: number): Manifest {
  return { packs: [], strays: [], garbage: [], visibility, updatedAtMs: nowMs };
}

/** Throws `storage_unavailable` where the bytes are no manifest: a damaged mirror is like a medium that does not answer. */
export function parseManifest(bytes: Uint8Array): Manifest {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw new HotpackError('storage_unavailable', 'the manifest is not JSON', { cause });
  }
  const parsed = v.safeParse(SCHEMA, json);
  if (!parsed.success) {
    throw new HotpackError('storage_unavailable', 'the manifest breaks its format', {
      detail: { issue: parsed.issues[0].message },
    });
  }
  const { packs, strays, garbage, visibility, updatedAtMs } = parsed.output;
  return { packs, strays, garbage, visibility, updatedAtMs };
}

/** With a nonce: some stores know a version by the MD5 of its bytes, which could not tell A, B, A apart. */
export function writeManifest(manifest: Manifest): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ format: 1, ...manifest, nonce: crypto.randomUUID() }));
}
