/** What lies on disk is Git's own: git reads it at any moment, after a killed process too. */
import { existsSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { readClone } from '../support/clones.ts';
import { git, temporaryFolder } from '../support/git.ts';
import {
  commitUpstream,
  detachedRepository,
  olderRichRepository,
  revision,
  richRepository,
  subRepository,
} from '../support/repositories.ts';
import { fillMirror, openHouse, refsThrough, tipsOf, type House } from './house.ts';

let house: House;
afterEach(() => house.close());

/** Numbers below `bound` that look random and are the same in every run. */
function seeded(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state % bound;
  };
}

test.each([
  ['rich', richRepository],
  ['sub', subRepository],
  ['detached', detachedRepository],
])('git clone file:// of the mirror of %s gives what upstream gives', async (name, make) => {
  house = await openHouse({ [name]: make() });
  await fillMirror(house, `up/${name}`);
  await house.hotpack.fsck(`up/${name}`);
  const folder = temporaryFolder('at-rest');
  await git([
    'clone',
    '-q',
    '--mirror',
    `file://${house.hotpack.mirrorFolder(`up/${name}`)}`,
    join(folder, 'from-mirror'),
  ]);
  await git([
    'clone',
    '-q',
    '--mirror',
    `file://${house.upstream.folder(`up/${name}`)}`,
    join(folder, 'from-upstream'),
  ]);
  const [mirror, upstream] = await Promise.all([
    readClone(join(folder, 'from-mirror')),
    readClone(join(folder, 'from-upstream')),
  ]);
  const targets = (refs: readonly string[]): string[] => refs.map((line) => line.split(' ').slice(0, 2).join(' '));
  expect(targets(mirror.refs)).toEqual(targets(upstream.refs));
  expect(mirror.head).toBe(upstream.head);
  expect(mirror.objects).toEqual(upstream.objects);
});

test('the idx and rev files are those of git index-pack', async () => {
  house = await openHouse({ rich: richRepository() });
  await fillMirror(house, 'up/rich');
  const packs = join(house.hotpack.mirrorFolder('up/rich'), 'objects', 'pack');
  const packNames = readdirSync(packs).filter((name) => name.endsWith('.pack'));
  expect(packNames.length).toBeGreaterThan(0);
  for (const name of packNames) {
    const copy = join(temporaryFolder('index'), 'check.idx');
    await git(['index-pack', '--rev-index', '-o', copy, join(packs, name)]);
    const stem = join(packs, name.replace(/\.pack$/, ''));
    for (const kind of ['idx', 'rev']) {
      const same = readFileSync(copy.replace(/idx$/, kind)).equals(readFileSync(`${stem}.${kind}`));
      expect({ name, kind, same }).toEqual({ name, kind, same: true });
    }
  }
});

test('fsck --full passes at every moment of a loop of pushes, fetches and kill -9', async () => {
  house = await openHouse({ rich: olderRichRepository() });
  const random = seeded(20_261_122);
  const name = 'up/rich';
  const mirror = house.hotpack.mirrorFolder(name);
  await fillMirror(house, name);
  for (let round = 0; round < 8; round++) {
    const tip = commitUpstream(
      house.upstream.folder(name),
      round % 3 === 0 ? `branch-${round}` : 'main',
      'refs/heads/main',
    );
    const clone = git([
      'clone',
      '-q',
      '--mirror',
      house.hotpack.repository(name),
      join(temporaryFolder('kill'), 'clone'),
    ]).catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, random(120)));
    await house.hotpack.kill9();
    await clone;
    if (existsSync(join(mirror, 'HEAD'))) await house.hotpack.fsck(name);
    await house.hotpack.start();
    expect([...(await refsThrough(house, name)).values()]).toContain(tip);
    await house.hotpack.fsck(name);
  }
  await fillMirror(house, name);
  await house.hotpack.mirrorHolds(name, tipsOf(house.upstream.folder(name)));
  await house.hotpack.fsck(name);
  expect(revision(mirror, 'refs/heads/main')).toBe(revision(house.upstream.folder(name), 'main'));
});

test('fsck --full passes while the first fill is killed at random moments', async () => {
  house = await openHouse({ rich: richRepository() });
  const random = seeded(7);
  const name = 'up/rich';
  for (let round = 0; round < 5; round++) {
    const clone = git([
      'clone',
      '-q',
      '--mirror',
      house.hotpack.repository(name),
      join(temporaryFolder('kill'), 'clone'),
    ]).catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 20 + random(250)));
    await house.hotpack.kill9();
    await clone;
    if (existsSync(join(house.hotpack.mirrorFolder(name), 'HEAD'))) await house.hotpack.fsck(name);
    // What was stored of the clone would be given to the next one, and nothing read along with him.
    rmSync(join(house.hotpack.folder, 'answers'), { recursive: true, force: true });
    await house.hotpack.start();
  }
  await fillMirror(house, name);
  await house.hotpack.fsck(name);
  expect(existsSync(join(house.hotpack.mirrorFolder(name), 'HEAD'))).toBe(true);
});
