/** What is warm is asked for by jobs that all ask the same: the first of them is answered from a file. */
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { assertSound, readClone } from '../support/clones.ts';
import { git, temporaryFolder } from '../support/git.ts';
import type { Hotpack } from '../support/hotpack.ts';
import { commitUpstream, revision } from '../support/repositories.ts';
import { endOfPass, importCounts, openWarmHouse, runCommand, statuses, type WarmHouse } from './warming.ts';

let house: WarmHouse;
afterEach(() => house.close());

const from = (hotpack: Hotpack, source: string): Promise<number> =>
  hotpack.metric('hotpack_requests_total', { kind: 'fetch', source });
const preparations = (hotpack: Hotpack): number =>
  hotpack.log.filter(({ event }) => event === 'prewarm.answers').length;

/** As git does, and as actions/checkout does; upstream gives no pack meanwhile. */
async function checkOut(hotpack: Hotpack, repo: string): Promise<void> {
  const refused = house.upstream.forbidFetch(repo);
  const tip = revision(house.upstream.folder(repo), 'main');
  const clone = join(temporaryFolder('clone'), 'clone');
  await git(['clone', '-q', '--depth=1', hotpack.repository(repo), clone]);
  const job = join(temporaryFolder('job'), 'job');
  await git(['init', '-q', job]);
  await git(['-C', job, 'fetch', '-q', '--no-tags', '--depth=1', hotpack.repository(repo), `+${tip}:refs/heads/job`]);
  for (const folder of [clone, job]) {
    await assertSound(folder);
    expect((await readClone(folder)).shallow).toEqual([tip]);
  }
  expect(refused.hits).toEqual([]);
  refused.remove();
}

test('the first checkout of a warmed repository is a stored answer, and so is that of each new tip', async () => {
  house = await openWarmHouse(['a', 'b']);
  const byHand = house.server({ HOTPACK_PREWARM_MOST_CLONED_REPOS: '0' });
  await byHand.start();
  expect((await runCommand(['warm', 'up/a'], { HOTPACK_SERVER: byHand.url })).text).toMatch(/clone ok/);
  await checkOut(byHand, 'up/a');
  expect([await from(byHand, 'pack-cache'), await from(byHand, 'mirror')]).toEqual([2, 0]);

  const next = commitUpstream(house.upstream.folder('up/a'));
  await git(['ls-remote', byHand.repository('up/a')]);
  await byHand.mirrorHolds('up/a', [next]);
  await expect.poll(() => preparations(byHand), { timeout: 20_000 }).toBe(2);
  await checkOut(byHand, 'up/a');
  expect([await from(byHand, 'pack-cache'), await from(byHand, 'mirror')]).toEqual([4, 0]);
  // What its clients ask for besides, once it is known.
  const blobless = ['clone', '-q', '--bare', '--filter=blob:none', byHand.repository('up/a')];
  await git([...blobless, join(temporaryFolder('partial'), 'clone')]);
  expect(await from(byHand, 'mirror')).toBe(1);
  await byHand.stop();

  commitUpstream(house.upstream.folder('up/a'));
  const passes = house.server({}, byHand.folder);
  await importCounts({ HOTPACK_STORAGE: `fs:${passes.folder}` }, [{ repo: 'up/b', daysAgo: 1, clones: 3 }]);
  await passes.start();
  expect(statuses(await endOfPass(passes))).toEqual({ 'up/a': 'fetch ok', 'up/b': 'clone ok' });
  for (const repo of ['up/a', 'up/b']) await checkOut(passes, repo);
  await git([...blobless.with(-1, passes.repository('up/a')), join(temporaryFolder('partial'), 'clone')]);
  expect([await from(passes, 'pack-cache'), await from(passes, 'mirror')]).toEqual([5, 0]);
  expect(await passes.metric('hotpack_warmed_requests_total', { source: 'pack-cache' })).toBe(5);
  // Warming counts no clones of its own.
  expect(await passes.metric('hotpack_clones_total')).toBe(5);
});
