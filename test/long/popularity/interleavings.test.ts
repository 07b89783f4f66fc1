/** 1,000 interleavings of queries, increments, flushes, compactions and reaping by eight instances. */
import { expect, test } from 'vitest';
import { playSeeds } from '../../support/popularity/play-instances.ts';

test('700 over a bad store, with kills, stale reads and late flushes', async () => {
  const { problems, killed } = await playSeeds(700, { isBad: true, keptDays: 90 });
  expect(problems.slice(0, 5)).toEqual([]);
  expect(killed).toBeGreaterThan(500);
});

test('150 over a store that only takes its time', async () => {
  expect((await playSeeds(150, { isBad: false, keptDays: 90 })).problems.slice(0, 5)).toEqual([]);
});

test('150 in which the reaper runs through the counted days', async () => {
  expect((await playSeeds(150, { isBad: true, keptDays: 12 })).problems.slice(0, 5)).toEqual([]);
});
