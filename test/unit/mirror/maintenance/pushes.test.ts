import { expect, test } from 'vitest';
import { playPushes } from './play-pushes.ts';

test('of 1,000 pushes in batches of 20 there are at most 20 packs at every moment, and git finds all of them', async () => {
  const played = await playPushes({ pushes: 1000, batch: 20 });
  expect(played.publications).toBeGreaterThan(48);
  expect(played.mostPacks).toBeLessThanOrEqual(20);
  expect(played.merges).toBeGreaterThan(3);
  expect(played.rewritten).toBeLessThanOrEqual(played.pushedBytes * Math.log2(played.publications));
}, 60_000);
