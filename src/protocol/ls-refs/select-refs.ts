/** Cuts the answer to an `ls-refs` from the full list. */
import type { Ref, RefsSnapshot } from '../refs-snapshot.ts';

/** The refs, HEAD among them, that begin with any of `prefixes`; all of them where there are none. */
export function selectRefs(snapshot: RefsSnapshot, prefixes: readonly string[]): RefsSnapshot {
  if (prefixes.length === 0 || prefixes.includes('')) return snapshot;
  const matches = prefixMatcher(prefixes);
  return {
    head: matches('HEAD') ? snapshot.head : { kind: 'absent' },
    refs: snapshot.refs.filter((ref: Ref) => matches(ref.name)),
  };
}

/**
 * Whether a name begins with any of the prefixes: one look-up for each length that a prefix has, so 65,535 of them
 * cost a name no more than a few do.
 */
function prefixMatcher(prefixes: readonly string[]): (name: string) => boolean {
  const wanted = new Set(prefixes);
  const lengths = [...new Set(prefixes.map((prefix) => prefix.length))].toSorted((a, b) => a - b);
  return (name) => {
    for (const length of lengths) {
      if (length > name.length) return false;
      if (wanted.has(name.slice(0, length))) return true;
    }
    return false;
  };
}
