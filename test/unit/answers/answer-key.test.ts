import { describe, expect, test } from 'vitest';
import { answerKey, type AnswerQuestion } from '../../../src/answers/answer-key.ts';
import { a, b, base } from './support.ts';

describe('the key', () => {
  const key = (change: Partial<AnswerQuestion>): string => answerKey({ ...base, ...change });

  test.each<[string, Partial<AnswerQuestion>]>([
    ['the order of wants', { wants: [b, a] }],
    ['repeated wants', { wants: [a, b, a] }],
    ['the repository, which is the folder', { repository: 'up/b.git' }],
    ['thin-pack without haves', { thin: true }],
  ])('is the same whatever %s', (_, change) => {
    expect(key(change)).toBe(key({}));
  });

  test('is the same whatever the order of haves, boundaries and parts of a filter', () => {
    const combine = (...parts: AnswerQuestion['filter'][]): AnswerQuestion['filter'] => ({ kind: 'combine', parts });
    const [blobs, trees] = [{ kind: 'blob-none' } as const, { kind: 'tree', depth: 3 } as const];
    expect(key({ haves: [a, b] })).toBe(key({ haves: [b, a, b] }));
    expect(key({ shallows: [a, b] })).toBe(key({ shallows: [b, a] }));
    expect(key({ filter: combine(blobs, trees) })).toBe(key({ filter: combine(combine(trees), blobs, blobs) }));
    expect(key({ filter: combine(blobs) })).toBe(key({ filter: blobs }));
    const revs = (...not: string[]): Partial<AnswerQuestion> => ({ deepen: { kind: 'revs', sinceSeconds: 1, not } });
    expect(key(revs(a, b))).toBe(key(revs(b, a)));
  });

  const changes: Partial<AnswerQuestion>[] = [
    {},
    { wants: [a] },
    { deepen: { kind: 'depth', depth: 1, relative: false } },
    { deepen: { kind: 'depth', depth: 1, relative: true } },
    { deepen: { kind: 'depth', depth: 2, relative: false } },
    { deepen: { kind: 'revs', sinceSeconds: 5, not: [] } },
    { deepen: { kind: 'revs', sinceSeconds: undefined, not: [a] } },
    { deepen: { kind: 'revs', sinceSeconds: undefined, not: [b] } },
    { deepen: { kind: 'revs', sinceSeconds: undefined, notRefs: [a] } },
    { filter: { kind: 'blob-none' } },
    { filter: { kind: 'blob-limit', bytes: 5 } },
    { filter: { kind: 'tree', depth: 5 } },
    { shallows: [a] },
    { haves: [a] },
    { haves: [a], thin: true },
    { haves: [a, b] },
    { ofsDelta: false },
    { tags: a },
  ];
  test('is another one for every other pack', () => {
    expect(new Set(changes.map(key)).size).toBe(changes.length);
  });
});
