/** Object names out of refs. */
import type { Oid } from '../../bytes/oid.ts';
import type { Ref, RefsSnapshot } from '../../protocol/refs-snapshot.ts';

/** Refs that every mirror holds; others (pull requests, notes) come when somebody asks for them. */
export function isBranchOrTag(name: string): boolean {
  return name.startsWith('refs/heads/') || name.startsWith('refs/tags/');
}

/** What HEAD, branches and tags point to, each once. */
export function branchTips(refs: RefsSnapshot): Oid[] {
  const tips = new Set<Oid>();
  if (refs.head.kind === 'symref' || refs.head.kind === 'detached') tips.add(refs.head.oid);
  for (const ref of refs.refs) if (isBranchOrTag(ref.name)) tips.add(ref.oid);
  return [...tips];
}

const known = new WeakMap<RefsSnapshot, ReadonlySet<Oid>>();

/** Everything that a ref points to, directly or through an annotated tag. Made once for each snapshot. */
export function advertisedOids(refs: RefsSnapshot): ReadonlySet<Oid> {
  const present = known.get(refs);
  if (present !== undefined) return present;
  const oids = new Set<Oid>();
  if (refs.head.kind === 'symref' || refs.head.kind === 'detached') oids.add(refs.head.oid);
  for (const ref of refs.refs) {
    oids.add(ref.oid);
    if (ref.peeled !== undefined) oids.add(ref.peeled);
  }
  known.set(refs, oids);
  return oids;
}

const combined = new WeakMap<RefsSnapshot, { readonly all: RefsSnapshot; readonly refs: RefsSnapshot }>();

/** Branches, tags and HEAD of `branches`, every other ref of `all`. The same two give the same snapshot again. */
export function combineRefs(branches: RefsSnapshot, all: RefsSnapshot | undefined): RefsSnapshot {
  if (all === undefined || all === branches) return branches;
  const present = combined.get(branches);
  if (present?.all === all) return present.refs;
  const others = all.refs.filter((ref) => !isBranchOrTag(ref.name));
  const refs =
    others.length === 0
      ? branches
      : { head: branches.head, refs: [...branches.refs.filter((ref) => isBranchOrTag(ref.name)), ...others] };
  combined.set(branches, { all, refs });
  return refs;
}

/** True where both name the same refs with the same objects. */
export function sameRefs(left: RefsSnapshot, right: RefsSnapshot): boolean {
  if (left === right) return true;
  if (JSON.stringify(left.head) !== JSON.stringify(right.head) || left.refs.length !== right.refs.length) return false;
  const sorted = (refs: readonly Ref[]): Ref[] => refs.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const others = sorted(right.refs);
  return sorted(left.refs).every((ref, i) => ref.name === others[i]?.name && ref.oid === others[i]?.oid);
}
