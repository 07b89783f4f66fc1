import { expect, test } from 'vitest';
import { playPushes } from '../../unit/mirror/maintenance/play-pushes.ts';

test('of 1,000 pushes one by one there are at most 20 packs at every moment, and git finds all of them', async () => {
  const played = await playPushes(1);
  expect(played.publications).toBeGreaterThan(998);
  expect(played.mostPacks).toBeLessThanOrEqual(20);
  expect(played.merges).toBeGreaterThan(100);
  expect(played.rewritten).toBeLessThanOrEqual(played.pushedBytes * Math.log2(played.publications));
});
