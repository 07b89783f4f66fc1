/** Packs are written anew by the built server under clones and kills: nobody notices, and git accepts the mirror at any moment. */
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { fillMirror, openHouse, type House } from '../../integration/house.ts';
import { FastImport } from '../../support/fast-import.ts';
import { git, gitSync, temporaryFolder } from '../../support/git.ts';
import { addHistory, emptyRepository } from '../../support/packed-repository.ts';
import { noise, revision } from '../../support/repositories.ts';

const NAME = 'up/a';
/** Kills, so many milliseconds after the request that makes it due; then one round without. */
const KILLS_AFTER_MS = [10, 40, 70, 100, 140, 180, 230, 300, 400, 600];
let house: House;
afterEach(() => house.close());

const folder = (): string => house.upstream.folder(NAME);

/** A branch that is larger than all else. */
function pushLarge(round: number): string {
  const stream = new FastImport(1_700_000_000 + round * 100_000);
  for (let n = 0; n < 60; n++) {
    const changes = [{ path: `large/${n}.bin`, data: noise(`${round}/${n}`, 60_000) }];
    const from = n === 0 ? { from: 'refs/heads/main^0' } : {};
    stream.commit({ ref: 'refs/heads/large', message: `large ${n}\n`, changes, ...from });
  }
  stream.run(folder());
  return revision(folder(), 'large');
}

async function strictClone(): Promise<string> {
  const target = join(temporaryFolder('during'), 'clone');
  const config = ['transfer.fsckObjects=true', 'fetch.fsckObjects=true'];
  await git(['clone', '-q', '--bare', house.hotpack.repository(NAME), target], { config });
  return target;
}

const objects = (cwd: string): string => gitSync(['rev-list', '--objects', '--count', '--all'], { cwd }).trim();
const repacked = (): number => house.hotpack.log.filter(({ event }) => event === 'mirror_repacked').length;

test('killed at many moments of it, git accepts the mirror each time, and clones that run meanwhile never fail', async () => {
  const upstream = emptyRepository('a');
  addHistory(upstream, { commits: 60 });
  house = await openHouse({ a: upstream });
  await fillMirror(house, NAME);
  for (const [round, afterMs] of [...KILLS_AFTER_MS, undefined].entries()) {
    const large = pushLarge(round);
    await git(['ls-remote', house.hotpack.repository(NAME)]);
    await house.hotpack.mirrorHolds(NAME, [large]);
    gitSync(['update-ref', '-d', 'refs/heads/large'], { cwd: folder() });
    const before = repacked();
    await git(['ls-remote', house.hotpack.repository(NAME)]);
    if (afterMs !== undefined) {
      await new Promise((resolve) => setTimeout(resolve, afterMs));
      await house.hotpack.kill9();
      await house.hotpack.fsck(NAME);
      await house.hotpack.start();
      await git(['ls-remote', house.hotpack.repository(NAME)]);
    }
    const clones = await Promise.all([strictClone(), strictClone(), strictClone()]);
    for (const clone of clones) expect(objects(clone)).toBe(objects(folder()));
    if (afterMs === undefined) await expect.poll(repacked, { timeout: 20_000 }).toBeGreaterThan(before);
    await house.hotpack.fsck(NAME);
  }
  const forbidden = house.upstream.forbidFetch(NAME);
  expect(objects(await strictClone())).toBe(objects(folder()));
  expect(objects(house.hotpack.mirrorFolder(NAME))).toBe(objects(folder()));
  expect(forbidden.hits).toEqual([]);
});
