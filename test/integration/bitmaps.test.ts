/** The bitmap beside a mirror's largest pack: git takes it for its own, and answers are as good with it as without. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { readClone } from '../support/clones.ts';
import { git, temporaryFolder } from '../support/git.ts';
import { commitUpstream, richRepository } from '../support/repositories.ts';
import { fillMirror, openHouse, type House } from './house.ts';

const NAME = 'up/rich';
let house: House;
afterEach(() => house.close());

const packs = (): string => join(house.hotpack.mirrorFolder(NAME), 'objects', 'pack');

function bitmaps(): string[] {
  if (!existsSync(packs())) return [];
  return readdirSync(packs()).filter((name) => name.endsWith('.bitmap'));
}

/** Resolves with the one bitmap that lies there once `isRight` likes it. */
async function bitmapOnce(isRight: (bytes: Buffer) => boolean = () => true): Promise<string> {
  for (let tries = 0; tries < 400; tries++) {
    const [name] = bitmaps();
    if (name !== undefined && isRight(readFileSync(join(packs(), name)))) return join(packs(), name);
    // oxlint-disable-next-line no-await-in-loop -- polling
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error('no bitmap was written');
}

async function clone(base: string, ...args: readonly string[]): Promise<Awaited<ReturnType<typeof readClone>>> {
  const folder = join(temporaryFolder('bitmaps'), 'clone');
  await git(['clone', '-q', '--mirror', ...args, base, folder]);
  await git(['-C', folder, 'fsck', '--strict']);
  return readClone(folder);
}

test('is written after a fill, is what git finds by walking, and answers clones that upstream would not', async () => {
  house = await openHouse({ rich: richRepository() });
  await fillMirror(house, NAME);
  await bitmapOnce();
  const mirror = house.hotpack.mirrorFolder(NAME);
  await git(['-C', mirror, 'rev-list', '--test-bitmap', 'HEAD']);
  await house.hotpack.fsck(NAME);
  const forbidden = house.upstream.forbidFetch();
  const direct = `file://${house.upstream.folder(NAME)}`;
  for (const args of [[], ['--filter=blob:none']]) {
    const [ours, theirs] = [await clone(house.hotpack.repository(NAME), ...args), await clone(direct, ...args)];
    expect({ args, objects: ours.objects }).toEqual({ args, objects: theirs.objects });
  }
  expect(forbidden.hits).toEqual([]);
});

test('serves what has come in newer packs, and what clients have of the old, by it and a walk', async () => {
  house = await openHouse({ rich: richRepository() });
  await fillMirror(house, NAME);
  const bitmap = await bitmapOnce();
  const old = join(temporaryFolder('bitmaps'), 'old');
  await git(['clone', '-q', house.hotpack.repository(NAME), old]);
  const tips = [1, 2, 3].map((n) => commitUpstream(house.upstream.folder(NAME), `new-${n}`, 'refs/heads/main'));
  await git(['ls-remote', house.hotpack.repository(NAME)]);
  await house.hotpack.mirrorHolds(NAME, tips);
  const forbidden = house.upstream.forbidFetch();
  await git(['-C', old, 'fetch', '-q', 'origin']);
  await git(['-C', old, 'fsck', '--strict']);
  for (const [n, tip] of tips.entries()) {
    expect(await git(['-C', old, 'rev-parse', `origin/new-${n + 1}`])).toBe(`${tip}\n`);
  }
  const direct = `file://${house.upstream.folder(NAME)}`;
  for (const args of [[], ['--filter=blob:none']]) {
    const [ours, theirs] = [await clone(house.hotpack.repository(NAME), ...args), await clone(direct, ...args)];
    expect({ args, objects: ours.objects }).toEqual({ args, objects: theirs.objects });
  }
  expect(forbidden.hits).toEqual([]);
  // The same file: newer packs are walked.
  expect(bitmaps()).toEqual([bitmap.split('/').at(-1)]);
  await git(['-C', house.hotpack.mirrorFolder(NAME), 'rev-list', '--test-bitmap', 'HEAD']);
});

test('is made anew by the next process where it is damaged, and nobody notices', async () => {
  house = await openHouse({ rich: richRepository() });
  await fillMirror(house, NAME);
  const bitmap = await bitmapOnce();
  const whole = readFileSync(bitmap);
  await house.hotpack.kill9();
  const damaged = Buffer.from(whole);
  damaged[damaged.length >> 1] = (damaged[damaged.length >> 1] as number) ^ 0xff;
  writeFileSync(bitmap, damaged);
  await house.hotpack.start();
  const forbidden = house.upstream.forbidFetch();
  const [ours, theirs] = [
    await clone(house.hotpack.repository(NAME)),
    await clone(`file://${house.upstream.folder(NAME)}`),
  ];
  expect(ours.objects).toEqual(theirs.objects);
  expect(forbidden.hits).toEqual([]);
  await bitmapOnce((bytes) => bytes.equals(whole));
});
