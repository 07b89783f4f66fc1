/** Warming where there is not room for all: what is cloned more stays, what is cloned less is not fetched in its place. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { addHistory, emptyRepository } from '../support/packed-repository.ts';
import { endOfPass, importCounts, openWarmHouse, runCommand, statuses, type WarmHouse } from './warming.ts';

let house: WarmHouse;
afterEach(() => house.close());

function bytesBelow(folder: string): number {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
}

test('warming takes the place of what is cloned less, never of what is cloned more', async () => {
  house = await openWarmHouse([]);
  const folder = emptyRepository('roomy');
  addHistory(folder, { commits: 10 });
  for (const name of ['cold', 'hot', 'more', 'less']) house.upstream.add(`up/${name}`, folder);
  const first = house.server({ HOTPACK_PREWARM_MOST_CLONED_REPOS: '0' });
  await first.start();
  for (const name of ['up/cold', 'up/hot']) {
    expect((await runCommand(['warm', name], { HOTPACK_SERVER: first.url })).text).toMatch(/clone ok/);
  }
  await first.stop();
  await importCounts(
    { HOTPACK_STORAGE: `fs:${first.folder}` },
    Object.entries({ hot: 10, more: 5, less: 2, cold: 1 }).map(([name, clones]) => ({
      repo: `up/${name}`,
      daysAgo: 1,
      clones,
    })),
  );
  // Of equal mirrors there is room for two and a half.
  const maxBytes = Math.floor(bytesBelow(join(first.folder, 'mirrors')) * 1.25);
  const second = house.server(
    { HOTPACK_MAX_BYTES: String(maxBytes), HOTPACK_PREWARM_CONCURRENCY: '1', HOTPACK_PREWARM_INTERVAL: '0' },
    first.folder,
  );
  await second.start();
  expect(statuses(await endOfPass(second))).toEqual({
    'up/hot': 'fetch ok',
    'up/cold': 'fetch ok',
    'up/more': 'clone ok',
    'up/less': 'clone skipped',
  });
  expect(second.log.find((line) => line.event === 'prewarm.repo' && line['repo'] === 'up/less')).toMatchObject({
    level: 'info',
    error: 'no room but that of mirrors that are cloned more',
  });
  const isHere = (name: string): boolean => existsSync(join(second.mirrorFolder(`up/${name}`), 'HEAD'));
  await expect.poll(() => isHere('cold'), { timeout: 20_000 }).toBe(false);
  expect(['hot', 'more', 'less'].filter(isHere)).toEqual(['hot', 'more']);
  for (const name of ['up/hot', 'up/more']) await second.fsck(name);
  // By hand it is somebody's wish.
  expect((await runCommand(['warm', 'up/less'], { HOTPACK_SERVER: second.url })).text).toMatch(/clone ok/);
});
