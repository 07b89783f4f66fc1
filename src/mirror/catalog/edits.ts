/**
 * How a manifest becomes the next one. Pure: each edit is made again from the manifest that won where a swap was lost, and checks
 * there anew what it relies on.
 */
import type { Garbage, Manifest, PackRecord, Stray, Visibility } from './manifest.ts';
import { emptyManifest, ofBranches } from './manifest.ts';

/** A manifest that has so many packs takes no further one: some are merged first. */
export const MAX_PACKS = 20;
/** How long a reader may work on packs that no manifest names any more. */
export const GARBAGE_KEPT_MS: number = 24 * 60 * 60 * 1000;

export interface Publication {
  /** The new pack, already at rest; absent where only refs or strays change. */
  readonly pack?: PackRecord;
  /** Packs that the new one's connectivity was checked against. */
  readonly builtOn: readonly string[];
  /** True: a mirror that has packs by now, from whoever was faster, is left as it is (`stale`). */
  readonly isFirst?: boolean;
  readonly strays: (current: readonly Stray[]) => readonly Stray[];
  readonly visibility: Visibility;
}

/** Packs of one class that stand side by side, and the pack that was made of them. */
export interface Merge {
  readonly sources: readonly string[];
  readonly merged: PackRecord;
}

/** `stale`: what the new pack leans on is gone. `crowded`: there are too many packs. */
export function editPublication(
  current: Manifest | undefined,
  publication: Publication,
  nowMs: number,
): Manifest | 'stale' | 'crowded' {
  const { builtOn, isFirst = false, pack, strays, visibility } = publication;
  const base = current ?? emptyManifest(visibility, nowMs);
  if (isFirst && base.packs.length > 0) return 'stale';
  if (!holdsAll(base, builtOn)) return 'stale';
  if (pack === undefined) return { ...base, strays: strays(base.strays), updatedAtMs: nowMs };
  // Whoever was away for a day may find that his files are being removed.
  const listed = base.garbage.find((one) => one.name === pack.name);
  if (listed !== undefined && nowMs - listed.sinceMs >= GARBAGE_KEPT_MS) return 'stale';
  if (base.packs.length >= MAX_PACKS) return 'crowded';
  return {
    ...base,
    packs: withPack(base.packs, pack),
    garbage: base.garbage.filter((one) => one !== listed),
    strays: strays(base.strays),
    updatedAtMs: nowMs,
  };
}

/** Undefined where a source is gone: somebody else has merged it meanwhile. */
export function editMerge(current: Manifest | undefined, merge: Merge, nowMs: number): Manifest | undefined {
  const { merged } = merge;
  const sources = new Set(merge.sources);
  const left = current?.packs.filter((pack) => sources.has(pack.name)) ?? [];
  if (current === undefined || left.length < sources.size) return undefined;
  const last = left.at(-1);
  const packs = current.packs.flatMap((pack) => (pack === last ? [merged] : sources.has(pack.name) ? [] : [pack]));
  const garbage = left.map(({ name }): Garbage => ({ name, sinceMs: nowMs, heldBy: merged.name }));
  return {
    ...current,
    packs,
    garbage: [...current.garbage.filter((one) => one.name !== merged.name), ...garbage],
    updatedAtMs: nowMs,
  };
}

/** Lists those of the packs at rest that the manifest does not know; undefined where it knows all. */
export function editOrphans(
  current: Manifest | undefined,
  packsAtRest: readonly string[],
  nowMs: number,
): Manifest | undefined {
  const known = new Set([...(current?.packs ?? []), ...(current?.garbage ?? [])].map((one) => one.name));
  const orphans = packsAtRest.filter((name) => !known.has(name)).map((name): Garbage => ({ name, sinceMs: nowMs }));
  if (orphans.length === 0) return undefined;
  const base = current ?? emptyManifest('unknown', nowMs);
  return { ...base, garbage: [...base.garbage, ...orphans] };
}

/** The mirror without its packs; their files go later. */
export function editReset(current: Manifest, visibility: Visibility, nowMs: number): Manifest {
  return {
    ...emptyManifest(visibility, nowMs),
    garbage: [...current.garbage, ...current.packs.map(({ name }) => ({ name, sinceMs: nowMs }))],
  };
}

/** True where all objects of these packs are in packs of the manifest. */
function holdsAll(manifest: Manifest, names: readonly string[]): boolean {
  const present = new Set(manifest.packs.map((pack) => pack.name));
  if (names.every((name) => present.has(name))) return true;
  const heirs = new Map(manifest.garbage.map((one) => [one.name, one.heldBy]));
  return names.every((name) => {
    // Each heir was made after its sources, so this ends.
    for (let at: string | undefined = name; at !== undefined; at = heirs.get(at)) if (present.has(at)) return true;
    return false;
  });
}

function withPack(packs: readonly PackRecord[], pack: PackRecord): readonly PackRecord[] {
  const at = pack.class === 'others' ? packs.length : ofBranches(packs).length;
  return packs.toSpliced(at, 0, pack);
}
