import { expect, test } from 'vitest';
import type { CloneShape } from '../../../../src/popularity/request-shape.ts';
import { expectedOfPart, expectedShapes } from '../../../../src/serve/expected/expected-shapes.ts';

const words = ({ wants, deepen, filter, includeTag }: CloneShape): string =>
  [wants, deepen.kind === 'depth' ? deepen.depth : 'all', filter.kind, ...(includeTag ? ['tags'] : [])].join(' ');
const of = (...shapes: readonly string[]): string[] =>
  expectedShapes(shapes.map((shape, n) => ({ shape, count: shapes.length - n }))).map(words);

test('where nothing is known: what a checkout of the newest commit asks for, as action and as clone', () => {
  expect(of()).toEqual(['one 1 none', 'one 1 none tags']);
});

test('else what was asked for most, one commit at depth 1 first, each once', () => {
  const shapes = ['clone many filter=blob:none', 'clone head depth=50 tags', 'clone object depth=1'];
  expect(of(...shapes, 'clone ref depth=1', 'clone head depth=1 tags')).toEqual([
    'one 1 none',
    'one 1 none tags',
    'all all blob-none',
    'one 50 none tags',
  ]);
  expect(of(...Array.from({ length: 9 }, (_, n) => `clone head depth=${n + 2}`))).toHaveLength(4);
});

test('not what is never stored, what depends on dates or names, what is no clone, and what nobody wrote', () => {
  expect(
    of(
      'clone many',
      'clone head tags',
      'fetch head depth=1',
      'boundary head depth=1',
      'clone head since',
      'clone head not',
      'clone head deeper=3',
      'clone head filter=sparse:oid',
      'clone head filter=combine:blob:none+tree:0',
      'clone head filter=unsupported',
      'clone object filter=blob:none',
      'clone head depth=1 and more',
      'clone',
      'other',
      '',
    ),
  ).toEqual([]);
});

test('by a part of what was asked: the newest commit at depth 1 whatever was seen, then what was asked for most', () => {
  const seen = ['clone head depth=1 tags', 'clone many filter=blob:none'];
  const shapes = expectedOfPart(seen.map((shape) => ({ shape, count: 1 })));
  expect(shapes.map(words)).toEqual(['one 1 none', 'one 1 none tags', 'all all blob-none']);
  expect(expectedOfPart([]).map(words)).toEqual(of());
});
