/** HOTPACK_MAX_MIRROR_BYTES: repositories that are too large for a mirror, as their clients and whoever runs the server see them. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { assertSound } from '../support/clones.ts';
import { git, temporaryFolder } from '../support/git.ts';
import { Hotpack } from '../support/hotpack.ts';
import { addHistory, emptyRepository } from '../support/packed-repository.ts';
import { revision, richRepository } from '../support/repositories.ts';
import { fetchRaw, fillMirror, openHouse, outcomeOf, type House } from './house.ts';
import { askApi, runCommand } from './warming.ts';

const name = 'up/large';
let house: House;
afterEach(() => house.close());

function filesBelow(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

const mirrorFiles = (): string[] => filesBelow(join(house.hotpack.folder, 'mirrors'));
const events = (event: string): number => house.hotpack.log.filter((line) => line.event === event).length;
const fetches = (): number => house.upstream.journal.select({ repository: name, kind: 'fetch' }).length;
const cacheHits = (): Promise<number> =>
  house.hotpack.metric('hotpack_requests_total', { kind: 'fetch', source: 'pack-cache' });

async function shallowClone(): Promise<void> {
  const folder = join(temporaryFolder('clone'), 'clone');
  await git(['clone', '-q', '--depth=1', house.hotpack.repository(name), folder]);
  await assertSound(folder);
}

async function stateOf(repo: string): Promise<string | undefined> {
  const { repos } = await askApi<{ repos: { repo: string; state: string }[] }>(house.hotpack, 'repos');
  return repos.find((one) => one.repo === repo)?.state;
}

test('too large for a mirror: given up once, then stored answers alone, after a restart too', async () => {
  house = await openHouse({ large: richRepository() }, { HOTPACK_MAX_MIRROR_BYTES: '16KiB' });
  await shallowClone();
  await expect.poll(() => events('fill_ended'), { timeout: 20_000 }).toBe(1);
  expect(house.hotpack.log.find((line) => line.event === 'mirror_too_large')).toMatchObject({
    level: 'info',
    repo: name,
    maxBytes: 16_384,
  });
  await shallowClone();
  await shallowClone();
  // The first client's own, and the fill that was given up.
  expect([fetches(), await cacheHits()]).toEqual([2, 2]);
  expect(mirrorFiles()).toEqual([]);
  expect(await stateOf(name)).toBe('absent');

  await house.hotpack.restart();
  await shallowClone();
  expect(await cacheHits()).toBe(1);
  const tip = revision(house.upstream.folder(name), 'main');
  expect(outcomeOf(await fetchRaw(house, name, [`want ${tip}`, 'deepen 2']))).toMatchObject({ status: 200 });
  expect(fetches()).toBe(3);
  const warmed = await runCommand(['warm', name], { HOTPACK_SERVER: house.hotpack.url });
  expect(warmed.text).toMatch(/^up\/large {2}clone skipped \d+ ms: larger than a mirror may be\n$/);
  expect(warmed.code).toBe(0);
  expect([fetches(), mirrorFiles(), await stateOf(name)]).toEqual([3, [], 'absent']);

  // With room for it.
  await house.hotpack.stop();
  const roomy = new Hotpack({
    upstreams: { up: house.upstream.base('up') },
    env: { HOTPACK_MAX_MIRROR_BYTES: '16MiB' },
    folder: house.hotpack.folder,
  });
  await roomy.start();
  try {
    expect((await runCommand(['warm', name], { HOTPACK_SERVER: roomy.url })).text).toMatch(/clone ok/);
    await roomy.fsck(name);
  } finally {
    await roomy.stop();
  }
});

test('a mirror that an update would make too large goes, and its clients are passed through', async () => {
  const folder = emptyRepository('growing');
  addHistory(folder, { commits: 10 });
  house = await openHouse({ large: folder }, { HOTPACK_MAX_MIRROR_BYTES: '150KiB' });
  await fillMirror(house, name);
  const grown = house.upstream.folder(name);
  // Every fortieth commit brings some 90 KiB.
  addHistory(grown, { commits: 35, start: 10 });
  const tip = revision(grown, 'main');
  expect(outcomeOf(await fetchRaw(house, name, [`want ${tip}`]))).toMatchObject({ status: 200, error: undefined });
  await expect.poll(() => events('mirror_too_large'), { timeout: 20_000 }).toBeGreaterThan(0);
  await expect.poll(mirrorFiles, { timeout: 20_000 }).toEqual([]);
  const before = fetches();
  await shallowClone();
  await shallowClone();
  expect(fetches()).toBe(before + 1);
  expect(await stateOf(name)).toBe('absent');
});
