import { expect, test } from 'vitest';
import { playPushes } from '../../unit/mirror/maintenance/play-pushes.ts';

test('of 1,000 pushes one by one there are at most 20 packs at every moment, and git finds all of them', async () => {
  const played = await playPushes({ pushes: 1000, batch: 1 });
  expect(played.publications).toBeGreaterThan(998);
  expect(played.mostPacks).toBeLessThanOrEqual(20);
  expect(played.merges).toBeGreaterThan(100);
  expect(played.rewritten).toBeLessThanOrEqual(played.pushedBytes * Math.log2(played.publications));
});

test('of 600 pushes, a tenth of which is replaced, no more is written anew than may be', async () => {
  const played = await playPushes({ pushes: 600, batch: 1, replaces: true });
  expect(played.mostPacks).toBeLessThanOrEqual(20);
  expect(played.repacks).toBeGreaterThan(3);
  expect(played.rewritten).toBeLessThanOrEqual(played.pushedBytes * Math.log2(played.publications));
});
