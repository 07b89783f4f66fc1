/**
 * Which packs become one next. Pure.
 *
 * Behind the base (the first pack of class `branches`, mostly the largest) the packs of a class are the digits of a binary counter of
 * publications: a run at the end is merged in which each pack counts at most as many publications as all behind it. So
 * counts fall by half or more along the list, which keeps it as short as the logarithm of their sum; and whenever a
 * pack is copied the number of publications in it at least doubles, so that no byte is copied more often than that logarithm
 * says. A few packs are let be before anything is done, which saves most copying.
 *
 * The base is merged with what is behind it where that has grown as large as the base itself.
 */
import { bytesOf, ofBranches, type PackRecord } from '../../catalog/manifest.ts';

/** As many packs of each class, the base apart, are let be. */
const BRANCHES_LET_BE = 6;
const OTHERS_LET_BE = 3;

/** Packs of one class that stand side by side, at least two; undefined: all is well. */
export function planMerge(packs: readonly PackRecord[]): readonly PackRecord[] | undefined {
  const branches = ofBranches(packs);
  const [base, ...rest] = branches;
  if (base !== undefined && rest.length > BRANCHES_LET_BE && bytesOf(rest) >= base.packBytes) return branches;
  return countedRun(rest, BRANCHES_LET_BE) ?? countedRun(others(packs), OTHERS_LET_BE);
}

/** What is merged where room is needed at once: the cheapest that makes any. */
export function planRoom(packs: readonly PackRecord[]): readonly PackRecord[] | undefined {
  const planned = planMerge(packs);
  if (planned !== undefined) return planned;
  const rest = ofBranches(packs).slice(1);
  const lists = [rest, others(packs)].toSorted((left, right) => right.length - left.length);
  const longest = lists[0] ?? [];
  return longest.length < 2 ? undefined : longest.slice(-2);
}

function countedRun(list: readonly PackRecord[], letBe: number): readonly PackRecord[] | undefined {
  if (list.length <= letBe) return undefined;
  let first = list.length - 1;
  let pushes = list[first]?.pushes ?? 0;
  for (; first > 0; first--) {
    const before = list[first - 1]?.pushes ?? 0;
    if (before > pushes) break;
    pushes += before;
  }
  return list.length - first < 2 ? undefined : list.slice(first);
}

function others(packs: readonly PackRecord[]): readonly PackRecord[] {
  return packs.filter((pack) => pack.class === 'others');
}
