/** A server that is killed while it warms, and started again at once: its claim runs out within the next pass. */
import { afterEach, expect, test } from 'vitest';
import { endOfPass, importCounts, openWarmHouse, statuses, type WarmHouse } from '../integration/warming.ts';

let house: WarmHouse;
afterEach(() => house.close());

test('what a killed server was at is taken over a minute later, after all else, in the same pass', async () => {
  house = await openWarmHouse(['stuck', 'a', 'b']);
  const first = house.server({ HOTPACK_PREWARM_CONCURRENCY: '1' });
  const counts = ['stuck', 'a', 'b'].map((name, i) => ({ repo: `up/${name}`, daysAgo: 0, clones: 9 - i }));
  await importCounts({ HOTPACK_STORAGE: `fs:${first.folder}` }, counts);
  const stalled = house.upstream.when({ repository: 'up/stuck', kind: 'fetch' }, { do: 'stall', afterBytes: 1_000 });
  await first.start();
  await stalled.arrived();
  await first.kill9();
  stalled.remove();
  const second = house.server({ HOTPACK_PREWARM_CONCURRENCY: '1' }, first.folder);
  await second.start();
  const pass = await endOfPass(second, 1, 90_000);
  expect(pass.outcome).toBe('complete');
  expect(pass.repos.map((one) => one.repo)).toEqual(['up/a', 'up/b', 'up/stuck']);
  expect(new Set(Object.values(statuses(pass)))).toEqual(new Set(['clone ok']));
  await second.fsck('up/stuck');
});
