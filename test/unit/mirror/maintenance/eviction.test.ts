/** Mirrors that are in use when they should make room go once they are not, though nobody tells of it. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { mirrorKeys } from '../../../../src/mirror/keys.ts';
import { Eviction } from '../../../../src/mirror/maintenance/space/eviction.ts';
import type { Logger } from '../../../../src/telemetry/logger.ts';
import { createMetrics } from '../../../../src/telemetry/metrics.ts';
import { addHistory, emptyRepository } from '../../../support/packed-repository.ts';
import { createWorld, filled, keysOf, type World } from '../fake-upstream.ts';
import { KEY } from './packs-at-rest.ts';

const silent = { debug() {}, info() {}, warn() {}, error() {} } as Logger;
const ROOT = mirrorKeys(KEY).root;

let world: World;
let eviction: Eviction;
let evicted: number;
/** How often the store was gone through. */
let looks: number;
let maxBytes: number;

beforeEach(async () => {
  const folder = emptyRepository('evicted');
  addHistory(folder, { commits: 5 });
  world = createWorld(folder);
  await filled(world);
  [evicted, looks, maxBytes] = [0, 0, 1000];
  eviction = new Eviction({
    storage: world.storage,
    async maxBytes() {
      looks++;
      return maxBytes;
    },
    known: () => new Map([[ROOT, world.mirror]]),
    onEvicted: () => evicted++,
    now: Date.now,
    logger: silent,
    metrics: createMetrics(),
  });
});
afterEach(() => eviction.stop());

test('looked at again until it is let go', async () => {
  const reader = await world.mirror.snapshot();
  eviction.changed();
  await expect.poll(() => looks, { timeout: 10_000 }).toBe(2);
  expect(evicted).toBe(0);
  const object = reader!.store.find(reader!.held.refs[0]?.oid ?? '');
  expect((await reader!.store.read(object)).content.length).toBeGreaterThan(0);
  reader!.release();
  await expect.poll(() => evicted, { timeout: 10_000 }).toBe(1);
  expect((await keysOf(world.storage)).filter((key) => key.startsWith(`${ROOT}/`))).toEqual([]);
  expect(await world.mirror.snapshot()).toBeUndefined();
});

test('not looked at again where there is room by then, nor once it has ended', async () => {
  const reader = await world.mirror.snapshot();
  eviction.changed();
  await expect.poll(() => looks, { timeout: 10_000 }).toBe(1);
  maxBytes = 1 << 30;
  await expect.poll(() => looks, { timeout: 10_000 }).toBe(2);
  await new Promise((resolve) => setTimeout(resolve, 1_200));
  expect(looks).toBe(2);
  maxBytes = 1000;
  eviction.changed();
  await expect.poll(() => looks, { timeout: 10_000 }).toBe(3);
  await eviction.stop();
  reader!.release();
  eviction.changed();
  expect([looks, evicted]).toEqual([3, 0]);
});
