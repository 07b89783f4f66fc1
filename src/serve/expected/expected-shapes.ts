/**
 * Which questions a repository's clients will ask of its new tips, by what they asked before. Pure. A whole history without a
 * filter is a copy of stored packs, and never a stored answer.
 */
import { parseCloneShape, type CloneShape } from '../../popularity/request-shape.ts';
import type { Traffic } from '../../popularity/contract.ts';

/** For each state of a repository. */
const MAX_SHAPES = 4;

const checkout = (includeTag: boolean): CloneShape => ({
  wants: 'one',
  deepen: { kind: 'depth', depth: 1, relative: false },
  filter: { kind: 'none' },
  includeTag,
});

/** What actions/checkout asks for, and `git clone --depth=1`: where nothing else is known. */
const DEFAULTS: readonly CloneShape[] = [checkout(false), checkout(true)];

/** The one commit at depth 1 first, then those that were asked for most. `counted`: what is gone by where nothing was asked lately. */
export function expectedShapes(lately: Traffic['shapes'], counted: Traffic['shapes'] = []): readonly CloneShape[] {
  const asked = lately.length > 0 ? lately : counted;
  if (asked.length === 0) return DEFAULTS;
  const counts = new Map<string, { readonly shape: CloneShape; count: number }>();
  for (const { shape: text, count } of asked) {
    const shape = parseCloneShape(text);
    if (shape === undefined || (shape.deepen.kind === 'none' && shape.filter.kind === 'none')) continue;
    const key = JSON.stringify(shape);
    const present = counts.get(key);
    if (present === undefined) counts.set(key, { shape, count });
    else present.count += count;
  }
  return [...counts.values()]
    .toSorted(
      (left, right) => Number(isCheckout(right.shape)) - Number(isCheckout(left.shape)) || right.count - left.count,
    )
    .slice(0, MAX_SHAPES)
    .map(({ shape }) => shape);
}

/**
 * By what one of many isolates has seen, which is a part of what was asked: the newest commit at depth 1 with and without tags
 * whatever it saw, then what it was asked for most.
 */
export function expectedOfPart(seen: Traffic['shapes']): readonly CloneShape[] {
  const others = expectedShapes(seen).filter((shape) => !isCheckout(shape));
  return [...DEFAULTS, ...others].slice(0, MAX_SHAPES);
}

function isCheckout({ wants, deepen, filter }: CloneShape): boolean {
  return wants === 'one' && deepen.kind === 'depth' && deepen.depth === 1 && filter.kind === 'none';
}
