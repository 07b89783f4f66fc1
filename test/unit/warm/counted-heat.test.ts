import { expect, test } from 'vitest';
import { createMemoryStorage } from '../../../src/storage/drivers/memory.ts';
import { repositoryOfName } from '../../../src/upstream/repository.ts';
import { readHeat, writeHeat } from '../../../src/warm/edge/counted-heat.ts';

const UPSTREAMS = new Map([['up', { name: 'up', baseUrl: 'http://up', ignoresCase: false }]]);
const repository = repositoryOfName('up/a b', UPSTREAMS);

test('what a pass has counted is read by whoever carries out what it handed over', async () => {
  const storage = createMemoryStorage();
  const clones = new Map([
    ['up/hot.git', 9],
    [repository.key, 3],
  ]);
  await writeHeat(storage, clones);
  const heat = await readHeat(storage, { repository, askedAtMs: 5 });
  expect(heat).toMatchObject({ root: `mirrors/${repository.key}`, clones: 3, askedAtMs: 5 });
  expect(['mirrors/up/hot.git', heat.root, 'mirrors/up/other.git'].map(heat.clonesOf)).toEqual([9, 3, 0]);
  await writeHeat(storage, new Map([['up/hot.git', 1]]));
  const later = await readHeat(storage, { repository, askedAtMs: undefined });
  expect([later.clones, later.askedAtMs, later.clonesOf('mirrors/up/hot.git')]).toEqual([0, -Infinity, 1]);
});

test('where nothing is known no mirror is to go', async () => {
  const heat = await readHeat(createMemoryStorage(), { repository, askedAtMs: 5 });
  expect(heat.clonesOf('mirrors/up/any.git')).toBeGreaterThan(heat.clones);
});

test('of more than fit into a MiB the least cloned are left out', async () => {
  const storage = createMemoryStorage();
  const key = (n: number): string => `up/${'x'.repeat(480)}${n}.git`;
  await writeHeat(storage, new Map(Array.from({ length: 5_000 }, (_, n) => [key(n), 10_000 - n])));
  const { clonesOf } = await readHeat(storage, { repository, askedAtMs: undefined });
  expect([0, 2_000, 4_999].map((n) => clonesOf(`mirrors/${key(n)}`))).toEqual([10_000, 8_000, 0]);
});
