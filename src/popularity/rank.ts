/** The order of `top`. */
import type { Counts } from './histogram/counts.ts';

/** The field of clones. */
export const CLONES = 'clones';

export function rank(sums: Counts, limit: number): { readonly repo: string; readonly clones: number }[] {
  const all = [...sums].map(([repo, fields]) => ({ repo, clones: fields.get(CLONES) ?? 0 }));
  return all
    .filter(({ clones }) => clones > 0)
    .toSorted((left, right) => right.clones - left.clones || (left.repo < right.repo ? -1 : 1))
    .slice(0, limit);
}
