/** Refs outside of branches and tags: they lie in packs of their own, and clones of branches see nothing of them. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { FastImport } from '../support/fast-import.ts';
import { git, gitSync, temporaryFolder } from '../support/git.ts';
import { addHistory, emptyRepository } from '../support/packed-repository.ts';
import { noise, revision } from '../support/repositories.ts';
import { fetchRaw, openHouse, outcomeOf, tipsOf, type House } from './house.ts';

const NAME = 'up/pulls';
const BRANCHES = ['--branches', '--tags'];
let house: House;
afterEach(() => house.close());

function addPullRequests(folder: string, from: number, to: number): void {
  const stream = new FastImport(1_700_000_000 + from * 60);
  for (let pull = from; pull < to; pull++) {
    const changes = [{ path: `pulls/${pull}.bin`, data: noise(`pull ${pull}`, 40_000) }];
    stream.commit({ ref: `refs/pull/${pull}/head`, from: 'refs/heads/main^0', message: `pull ${pull}\n`, changes });
  }
  stream.run(folder);
}

/** A history with pull requests that are larger than it is. */
function withPullRequests(): string {
  const folder = emptyRepository('pulls');
  addHistory(folder, { commits: 40 });
  addPullRequests(folder, 0, 12);
  gitSync(['config', 'uploadpack.allowAnySHA1InWant', 'true'], { cwd: folder });
  return folder;
}

function reachable(...args: readonly string[]): string[] {
  const cwd = house.upstream.folder(NAME);
  return gitSync(['rev-list', '--objects', '--no-object-names', ...args], { cwd })
    .trim()
    .split('\n')
    .toSorted();
}

/** Clones as a client that looks at every object, and gives all that came. */
async function strictClone(...args: readonly string[]): Promise<string[]> {
  const folder = join(temporaryFolder('strict'), 'clone');
  const config = ['transfer.fsckObjects=true', 'fetch.fsckObjects=true'];
  await git(['clone', '-q', '--bare', ...args, house.hotpack.repository(NAME), folder], { config });
  await git(['-C', folder, 'fsck', '--full', '--strict']);
  const all = ['cat-file', '--batch-all-objects', '--batch-check=%(objectname)'];
  return gitSync(all, { cwd: folder }).trim().split('\n').toSorted();
}

/** By the pack's name: what it holds, of packs that lie in the mirror. */
function packsAtRest(): string[][] {
  const folder = join(house.hotpack.mirrorFolder(NAME), 'objects', 'pack');
  const idx = readdirSync(folder).filter((name) => name.endsWith('.idx'));
  return idx.map((name) =>
    gitSync(['verify-pack', '-v', name], { cwd: folder })
      .split('\n')
      .filter((line) => /^[0-9a-f]{40} /.test(line))
      .map((line) => line.slice(0, 40))
      .toSorted(),
  );
}

test('a cold mirror clone fills a mirror whose branches lie by themselves', async () => {
  house = await openHouse({ pulls: withPullRequests() });
  expect(await strictClone('--mirror')).toEqual(reachable('--all'));
  await house.hotpack.mirrorHolds(NAME, tipsOf(house.upstream.folder(NAME)));
  expect(house.upstream.journal.select({ repository: NAME, kind: 'fetch' })).toHaveLength(1);
  const branches = reachable(...BRANCHES);
  expect(packsAtRest().toSorted((a, b) => b.length - a.length)).toEqual([
    branches,
    reachable('--all', '--not', ...BRANCHES),
  ]);
  await house.hotpack.fsck(NAME);
  const forbidden = house.upstream.forbidFetch(NAME);
  expect(await strictClone()).toEqual(branches);
  expect(await strictClone('--mirror')).toEqual(reachable('--all'));
  expect(forbidden.hits).toEqual([]);
});

test('fifty that are fetched by hash and then merged leave clones that a strict client takes', async () => {
  house = await openHouse({ pulls: withPullRequests() });
  const folder = house.upstream.folder(NAME);
  await strictClone();
  await house.hotpack.mirrorHolds(NAME, [revision(folder, 'main')]);
  for (let round = 0; round < 5; round++) {
    const [from, to] = [100 + 10 * round, 110 + 10 * round];
    addPullRequests(folder, from, to);
    const heads = tipsOf(
      folder,
      Array.from({ length: to - from }, (_, n) => `refs/pull/${from + n}/head`),
    );
    // oxlint-disable-next-line no-await-in-loop -- one push after the other
    const fetched = await fetchRaw(
      house,
      NAME,
      heads.map((oid) => `want ${oid}`),
    );
    expect(outcomeOf(fetched)).toMatchObject({ status: 200, error: undefined });
    const merge = ['commit-tree', 'main^{tree}', '-m', `merge ${round}`, '-p', 'main'];
    const tip = gitSync([...merge, ...heads.flatMap((oid) => ['-p', oid])], { cwd: folder }).trim();
    gitSync(['update-ref', 'refs/heads/main', tip], { cwd: folder });
    // oxlint-disable-next-line no-await-in-loop
    expect(outcomeOf(await fetchRaw(house, NAME, [`want ${tip}`]))).toMatchObject({ status: 200, error: undefined });
  }
  const merged = (): boolean => house.hotpack.log.some(({ event }) => event === 'packs_merged');
  await expect.poll(merged, { timeout: 20_000 }).toBe(true);
  const forbidden = house.upstream.forbidFetch(NAME);
  expect(await strictClone()).toEqual(reachable(...BRANCHES));
  await house.hotpack.fsck(NAME);
  expect(forbidden.hits).toEqual([]);
});
