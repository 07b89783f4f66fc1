/** Mirrors that are used for long stay healthy: packs are merged under readers and kills, and what is not used makes room. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { git, temporaryFolder } from '../support/git.ts';
import { addHistory, emptyRepository } from '../support/packed-repository.ts';
import { revision } from '../support/repositories.ts';
import { fetchRaw, fillMirror, openHouse, outcomeOf, type House } from './house.ts';

let house: House;
afterEach(() => house.close());

function grown(commits: number): string {
  const folder = emptyRepository('grown');
  addHistory(folder, { commits });
  return folder;
}

/** Pushes, and fetches what was pushed by its name: so each comes in a pack of its own. */
async function pushAndFetch(repository: string, start: number): Promise<string> {
  const folder = house.upstream.folder(repository);
  addHistory(folder, { commits: 1, start });
  const tip = revision(folder, 'main');
  expect(outcomeOf(await fetchRaw(house, repository, [`want ${tip}`]))).toMatchObject({ status: 200 });
  return tip;
}

async function packsOf(repository: string): Promise<number> {
  const answer = await fetch(`${house.hotpack.url}/api/v1/repos`);
  const { repos } = (await answer.json()) as { repos: { repo: string; packs: number }[] };
  return repos.find((one) => one.repo === repository)?.packs ?? 0;
}

test('clones go on while packs are merged, and kill -9 in the midst of it leaves what git accepts', async () => {
  house = await openHouse({ a: grown(20) });
  await fillMirror(house, 'up/a');
  let commits = 20;
  let tip = '';
  let merges = 0;
  for (let round = 0; round < 5; round++) {
    const clones: Promise<string>[] = [];
    for (let push = 0; push < 5; push++) {
      tip = await pushAndFetch('up/a', commits++);
      if (push === 2) {
        const folder = join(temporaryFolder('while'), 'clone');
        clones.push(git(['clone', '-q', house.hotpack.repository('up/a'), folder]).then(() => folder));
      }
    }
    for (const folder of await Promise.all(clones)) await git(['-C', folder, 'fsck', '--full', '--strict']);
    expect(await packsOf('up/a')).toBeLessThanOrEqual(20);
    merges += house.hotpack.log.filter((line) => line.event === 'packs_merged').length;
    // The next push makes a merge due: killed somewhere in it.
    void pushAndFetch('up/a', commits++).catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 40 + 35 * round));
    await house.hotpack.kill9();
    await house.hotpack.fsck('up/a');
    await house.hotpack.start();
  }
  expect(merges).toBeGreaterThan(2);
  house.upstream.forbidFetch('up/a');
  expect(outcomeOf(await fetchRaw(house, 'up/a', [`want ${tip}`])).objects).toBeGreaterThan(20);
  await house.hotpack.fsck('up/a');
});

test('above HOTPACK_MAX_BYTES the least recently used mirrors go, and are filled again when they are asked for', async () => {
  house = await openHouse({ a: grown(30), b: grown(31), c: grown(32) }, { HOTPACK_MAX_BYTES: '380KiB' });
  const isHere = (name: string): boolean => existsSync(join(house.hotpack.mirrorFolder(`up/${name}`), 'HEAD'));
  const gone = async (name: string): Promise<void> => {
    for (let waits = 0; isHere(name) && waits < 1000; waits++) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(isHere(name)).toBe(false);
  };
  // A bitmap is the last that is written of a fill: until then a mirror is in use.
  const bitmaps = (): number => house.hotpack.log.filter(({ event }) => event === 'bitmap_made').length;
  await fillMirror(house, 'up/a');
  await fillMirror(house, 'up/b');
  await expect.poll(bitmaps, { timeout: 20_000 }).toBe(2);
  const tip = revision(house.upstream.folder('up/a'), 'main');
  expect(outcomeOf(await fetchRaw(house, 'up/a', [`want ${tip}`])).objects).toBeGreaterThan(30);
  await fillMirror(house, 'up/c');
  await gone('b');
  expect([isHere('a'), isHere('c')]).toEqual([true, true]);
  // Counted once all of it has gone; `HEAD` is the first.
  const evictions = (): Promise<number> => house.hotpack.metric('hotpack_evictions_total', { what: 'mirrors' });
  await expect.poll(evictions, { timeout: 10_000 }).toBe(1);
  await house.hotpack.fsck('up/a');
  await house.hotpack.fsck('up/c');
  await house.hotpack.restart();
  await fillMirror(house, 'up/b');
  expect(isHere('b')).toBe(true);
  await gone('a');
});
