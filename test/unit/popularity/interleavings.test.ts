/** Any order of counting, flushing, tidying, asking, dying and freezing ends in the right sums. `test/long` plays 1,000 of them. */
import { expect, test } from 'vitest';
import { playSeeds } from '../../support/popularity/play-instances.ts';

test('over a bad store only what a killed instance had not flushed is lost', async () => {
  const { problems, killed } = await playSeeds(100, { isBad: true, keptDays: 90 });
  expect(problems.slice(0, 5)).toEqual([]);
  expect(killed).toBeGreaterThan(50);
});

test('over a store that only takes its time nothing else is', async () => {
  expect((await playSeeds(30, { isBad: false, keptDays: 90 })).problems.slice(0, 5)).toEqual([]);
});

test('while the reaper runs through the counted days', async () => {
  expect((await playSeeds(30, { isBad: true, keptDays: 12 })).problems.slice(0, 5)).toEqual([]);
});

test('a read that creates is noticed', async () => {
  const { problems } = await playSeeds(10, { isBad: true, keptDays: 90, mutation: 'read-creates' });
  expect(problems.some((problem) => problem.includes('a query did set'))).toBe(true);
});

test('a compaction that deletes before its record is there is noticed', async () => {
  const { problems } = await playSeeds(40, { isBad: true, keptDays: 90, mutation: 'tidies-early' });
  expect(problems.some((problem) => problem.includes(' instead of '))).toBe(true);
});
