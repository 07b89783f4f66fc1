/** `top` and `traffic`: what they say, in what order, and how many reads they cost. */
import { expect, test } from 'vitest';
import { addDays, dayOf } from '../../../src/popularity/histogram/day.ts';
import { sha1HexOf } from '../../../src/bytes/sha1.ts';
import { writeRecord } from '../../../src/popularity/histogram/encoding.ts';
import { flushCounts } from '../../../src/popularity/histogram/flush.ts';
import { recordKey } from '../../../src/popularity/histogram/key.ts';
import { OwnCounts } from '../../../src/popularity/histogram/own-counts.ts';
import { createPopularity } from '../../../src/popularity/popularity.ts';
import type { Popularity } from '../../../src/popularity/contract.ts';
import { createMemoryStorage } from '../../../src/storage/drivers/memory.ts';
import type { Kv } from '../../../src/storage/kv/contract.ts';
import { createKv } from '../../../src/storage/kv/driver-kv.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { createMetrics } from '../../../src/telemetry/metrics.ts';

const NOW = Date.parse('2026-11-22T12:00:00Z');
const TODAY = dayOf(NOW);

interface Counting {
  readonly kv: Kv;
  readonly calls: { get: number; list: number; write: number };
}

function countingKv(): Counting {
  const kv = createKv(createMemoryStorage());
  const calls = { get: 0, list: 0, write: 0 };
  return {
    calls,
    kv: {
      ...kv,
      get: (...args) => (calls.get++, kv.get(...args)),
      getMany: (keys, ...rest) => ((calls.get += keys.length), kv.getMany(keys, ...rest)),
      list: (...args) => (calls.list++, kv.list(...args)),
      set: (...args) => (calls.write++, kv.set(...args)),
      delete: (...args) => (calls.write++, kv.delete(...args)),
    },
  };
}

async function keysOf(kv: Kv): Promise<string[]> {
  const keys: string[] = [];
  for await (const key of kv.list('')) keys.push(key);
  return keys;
}

interface World {
  readonly popularity: Popularity;
  readonly lines: string[];
  readonly metrics: ReturnType<typeof createMetrics>;
  nowMs: number;
  /** What was waited for with requests, milliseconds, and what ends the waiting. */
  readonly slept: number[];
  wake(): void;
}

function world(kv: Kv, options: { readonly maxCells?: number } = {}): World {
  const lines: string[] = [];
  const metrics = createMetrics();
  let wake = (): void => undefined;
  const made = { lines, metrics, nowMs: NOW, slept: [] as number[], wake: () => wake() };
  const sleep = (ms: number): Promise<void> => {
    made.slept.push(ms);
    return new Promise((resolve) => (wake = resolve));
  };
  const now = (): number => made.nowMs;
  const logger = createLogger({ sink: (line) => lines.push(line), level: 'debug', now, secrets: [] });
  const popularity = createPopularity(
    { kv, instance: 'i0000000000000001', now, logger, metrics, sleep },
    { flushIntervalMs: 5_000, retentionMs: 90 * 86_400_000, ...options },
  );
  return Object.assign(made, { popularity });
}

async function write(
  kv: Kv,
  instance: string,
  cells: readonly (readonly [day: string, repo: string, n: number])[],
  nowMs: number,
) {
  const own = new OwnCounts({ maxCells: Infinity });
  for (const [day, repo, n] of cells) own.add({ kind: 'clones', day, repo, field: 'clones' }, n);
  await flushCounts({ kv, own, instance, now: () => nowMs });
}

test('10,000 repositories, 14 days, 8 instances: one read for each open part, and one for each closed day', async () => {
  const { kv, calls } = countingKv();
  const repos = Array.from({ length: 10_000 }, (_, n) => `up/group-${n % 100}/repository-${n}`);
  const instances = Array.from({ length: 8 }, (_, n) => `i0000000${n}`);
  const counts = new Map(repos.map((repo, n) => [repo, new Map([['clones', 1 + (n % 5)]])]));
  const record = writeRecord(new Map(instances.map((instance) => [instance, counts])));
  for (let n = 3; n < 14; n++) {
    await kv.set(recordKey('clones', addDays(TODAY, -n), sha1HexOf(new TextEncoder().encode(record))), record);
  }
  for (let n = 0; n < 3; n++) {
    const day = addDays(TODAY, -n);
    for (const instance of instances)
      await write(
        kv,
        instance,
        repos.map((repo, r) => [day, repo, 1 + (r % 5)]),
        NOW,
      );
  }
  const keys = await keysOf(kv);
  const openParts = keys.filter((key) => !key.includes(':record:'));
  expect(keys.length - openParts.length).toBe(11);
  for (const key of openParts) {
    const value = await kv.get(key);
    expect(value.kind === 'found' && new TextEncoder().encode(value.text).length < 48 * 1024).toBe(true);
  }

  const { popularity } = world(kv);
  calls.get = calls.list = calls.write = 0;
  const top = await popularity.top({ days: 14, limit: 2 });
  expect(calls).toEqual({ get: openParts.length + 11, list: 1, write: 0 });
  expect(top).toEqual({
    days: 14,
    from: '2026-11-09',
    to: '2026-11-22',
    repos: [
      { repo: 'up/group-14/repository-1014', clones: 5 * 8 * 14 },
      { repo: 'up/group-14/repository-1114', clones: 5 * 8 * 14 },
    ],
  });
});

test('today and the days before it count, neither the day before them nor tomorrow; ties go by name', async () => {
  const { kv } = countingKv();
  const cells = [
    [TODAY, 'up/today', 2],
    [addDays(TODAY, -13), 'up/oldest', 3],
    [addDays(TODAY, -14), 'up/too-old', 9],
    [addDays(TODAY, 1), 'up/tomorrow', 9],
    [TODAY, 'up/b', 1],
    [TODAY, 'up/a', 1],
    [TODAY, 'up/A', 1],
  ] as const;
  await write(kv, 'i00000001', cells, NOW);
  const { popularity } = world(kv);
  const { repos } = await popularity.top({ days: 14, limit: 10 });
  expect(repos.map(({ repo, clones }) => `${repo} ${clones}`)).toEqual([
    'up/oldest 3',
    'up/today 2',
    'up/A 1',
    'up/a 1',
    'up/b 1',
  ]);
  expect((await popularity.top({ days: 1, limit: 1 })).repos).toEqual([{ repo: 'up/today', clones: 2 }]);
});

test('what was not flushed is in it, once, before and after the flush', async () => {
  const { kv } = countingKv();
  const { popularity, metrics } = world(kv);
  const clone = { repo: 'up/a', isClone: true, shape: 'clone head' };
  popularity.countFetch(clone);
  popularity.countFetch({ ...clone, isClone: false });
  const expected = [{ repo: 'up/a', clones: 1 }];
  expect((await popularity.top({ days: 14, limit: 5 })).repos).toEqual(expected);
  await popularity.flush();
  expect((await popularity.top({ days: 14, limit: 5 })).repos).toEqual(expected);
  expect((await world(kv).popularity.top({ days: 14, limit: 5 })).repos).toEqual(expected);
  expect(await metrics.render()).toContain('\nhotpack_clones_total 1\n');
});

test('traffic: requests and bytes by source, the 16 commonest shapes', async () => {
  const { kv } = countingKv();
  const { popularity } = world(kv);
  for (let n = 1; n <= 100; n++) {
    const times = n <= 3 ? 10 - n : 1;
    for (let k = 0; k < times; k++)
      popularity.countFetch({ repo: 'up/a', isClone: true, shape: `clone head depth=${n}` });
  }
  popularity.countAnswer('up/a', 'mirror', 1_000);
  popularity.countAnswer('up/a', 'mirror', 0);
  popularity.countAnswer('up/a', 'upstream', 7);
  await popularity.flush();
  const traffic = (await popularity.traffic(1)).get('up/a');
  expect(traffic).toMatchObject({
    requests: { 'pack-cache': 0, mirror: 2, upstream: 1 },
    bytes: { 'pack-cache': 0, mirror: 1_000, upstream: 7 },
  });
  expect(traffic?.shapes.length).toBe(16);
  expect(traffic?.shapes.slice(0, 4)).toEqual([
    { shape: 'other', count: 60 },
    { shape: 'clone head depth=1', count: 9 },
    { shape: 'clone head depth=2', count: 8 },
    { shape: 'clone head depth=3', count: 7 },
  ]);
});

test('while the store takes nothing counts wait, in bounds; what is dropped is metered, and the rest is written later', async () => {
  const { kv } = countingKv();
  let isDown = true;
  const down: Kv = { ...kv, set: (...args) => (isDown ? Promise.reject(new Error('down')) : kv.set(...args)) };
  const { popularity, metrics, lines } = world(down, { maxCells: 20 });
  for (let n = 0; n < 30; n++) popularity.countFetch({ repo: `up/${n}`, isClone: true, shape: 'clone head' });
  popularity.countFetch({ repo: 'up/0', isClone: true, shape: 'clone head' });
  await popularity.flush();
  await popularity.flush();
  expect(lines.filter((line) => line.includes('counts_failed')).length).toBe(1);
  expect(await metrics.render()).toContain('\nhotpack_counts_dropped_total 40\n');
  expect(await metrics.render()).toContain('\nhotpack_clones_total 31\n');
  isDown = false;
  await popularity.flush();
  expect(lines.some((line) => line.includes('counts_recovered'))).toBe(true);
  const { repos } = await world(kv).popularity.top({ days: 1, limit: 100 });
  expect(repos.map(({ clones }) => clones)).toEqual([2, ...Array.from({ length: 9 }, () => 1)]);
});

test('without timers a flush rides on requests, no more often than the interval', async () => {
  const { kv, calls } = countingKv();
  const made = world(kv);
  const waiting: Promise<unknown>[] = [];
  const count = (): void =>
    made.popularity.countFetch({
      repo: 'up/a',
      isClone: true,
      shape: 's',
      waitUntil: (promise) => waiting.push(promise),
    });
  count();
  // The first one at once: the isolate may never see another.
  expect(waiting.length).toBe(1);
  await Promise.all(waiting);
  expect([calls.write, made.slept]).toEqual([2, []]);
  // Those of one interval together, at its end, with the last of them.
  made.nowMs += 2_000;
  count();
  made.nowMs += 1_000;
  count();
  expect([waiting.length, made.slept]).toEqual([2, [3_000]]);
  count();
  made.nowMs += 2_000;
  made.wake();
  await Promise.all(waiting);
  expect([calls.write, waiting.length]).toEqual([4, 2]);
  // An isolate that ends now, with nobody told, has lost nothing.
  expect((await world(kv).popularity.top({ days: 1, limit: 1 })).repos).toEqual([{ repo: 'up/a', clones: 4 }]);
  made.nowMs += 60_000;
  count();
  expect([waiting.length, made.slept]).toEqual([3, [3_000]]);
});

test('a flush that ended with its request is given up, joined by no other request, and loses nothing', async () => {
  const { kv } = countingKv();
  let isHanging = true;
  const hanging: Kv = { ...kv, set: (...args) => (isHanging ? new Promise(() => undefined) : kv.set(...args)) };
  const made = world(hanging);
  const waiting: Promise<unknown>[] = [];
  const count = (afterMs: number): number => {
    made.nowMs += afterMs;
    made.popularity.countFetch({
      repo: 'up/a',
      isClone: true,
      shape: 's',
      waitUntil: (promise) => waiting.push(promise),
    });
    return waiting.length;
  };
  expect([count(0), count(60_000), count(59_999)]).toEqual([1, 1, 1]);
  isHanging = false;
  expect(count(1)).toBe(2);
  await waiting[1];
  expect((await world(kv).popularity.top({ days: 1, limit: 1 })).repos).toEqual([{ repo: 'up/a', clones: 4 }]);
});
