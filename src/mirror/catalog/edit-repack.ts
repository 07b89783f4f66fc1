/**
 * How a manifest changes where all its packs were written anew. What was left out is gone from here on: so a pack that came
 * meanwhile stays only where somebody has looked whether it leans on that, and one that is published later and was built on the
 * old packs is refused.
 */
import { type Garbage, type Manifest, ofBranches, type PackRecord, type Stray } from './manifest.ts';

export interface Repack {
  /** All packs that there were. */
  readonly sources: readonly string[];
  readonly branches: PackRecord;
  readonly others: PackRecord | undefined;
  /** Packs that came meanwhile, and lean on nothing that is left out. */
  readonly checked: readonly string[];
  readonly strays: (current: readonly Stray[]) => readonly Stray[];
}

export function madeBy({ branches, others }: Repack): readonly string[] {
  return [branches, ...(others === undefined ? [] : [others])].map((pack) => pack.name);
}

/** `lost`: a source is gone. Packs: those that came meanwhile and were not checked. */
export function editRepack(
  current: Manifest | undefined,
  repack: Repack,
  nowMs: number,
): Manifest | 'lost' | readonly PackRecord[] {
  const sources = new Set(repack.sources);
  const replaced = current?.packs.filter((pack) => sources.has(pack.name)) ?? [];
  if (current === undefined || replaced.length < sources.size) return 'lost';
  const later = current.packs.filter((pack) => !sources.has(pack.name));
  const unchecked = later.filter((pack) => !repack.checked.includes(pack.name));
  if (unchecked.length > 0) return unchecked;
  const laterOthers = later.filter((pack) => pack.class === 'others');
  const { branches, others } = repack;
  const made = new Set(madeBy(repack));
  const garbage = replaced.map(({ name }): Garbage => ({ name, sinceMs: nowMs }));
  return {
    ...current,
    packs: [branches, ...ofBranches(later), ...(others === undefined ? [] : [others]), ...laterOthers],
    strays: repack.strays(current.strays),
    garbage: [...current.garbage.filter((one) => !made.has(one.name)), ...garbage],
    updatedAtMs: nowMs,
  };
}
