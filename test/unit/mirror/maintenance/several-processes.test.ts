/** Two processes over one store, each with a mirror of its own that stays open. */
import { beforeEach, describe, expect, test } from 'vitest';
import { Catalog } from '../../../../src/mirror/catalog/catalog.ts';
import { mirrorKeys } from '../../../../src/mirror/keys.ts';
import type { Mirror } from '../../../../src/mirror/mirror.ts';
import { addHistory, emptyRepository } from '../../../support/packed-repository.ts';
import { revision } from '../../../support/repositories.ts';
import { asker, check, createWorld, filled, isHere, keysOf, type World } from '../fake-upstream.ts';
import { KEY, PACK_FOLDER } from './packs-at-rest.ts';

let folder: string;
let world: World;
let other: Mirror;
let commits: number;

function push(): string {
  addHistory(folder, { commits: 2, start: commits });
  commits += 2;
  return revision(folder, 'main');
}

beforeEach(async () => {
  folder = emptyRepository('processes');
  addHistory(folder, { commits: 15 });
  commits = 15;
  world = createWorld(folder);
  await filled(world);
  other = world.restarted();
  await isHere(other, revision(folder, 'main'));
});

const manifest = () => new Catalog(world.storage, mirrorKeys(KEY).manifest).read();

describe('of two processes over one store', () => {
  test('the one finds what the other has fetched, and asks upstream for nothing', async () => {
    const tip = push();
    await check(world);
    expect(await isHere(world.mirror, tip)).toBe(true);
    expect(await isHere(other, tip)).toBe(false);
    const fetches = world.upstream.fetches.length;
    await check(world, asker(), other);
    expect(await isHere(other, tip)).toBe(true);
    expect(world.upstream.fetches.length).toBe(fetches);
  });

  test('the one reads on while the other merges, and after the files have gone it reads what there is', async () => {
    const first = revision(folder, 'main');
    const reading = await other.snapshot();
    for (let n = 0; n < 9; n++) {
      push();
      // oxlint-disable-next-line no-await-in-loop
      await check(world);
    }
    expect((await manifest())?.garbage.length).toBeGreaterThan(1);
    const store = reading!.store;
    expect((await store.read(store.find(first))).content.length).toBeGreaterThan(0);
    reading!.release();
    world.nowMs += 86_400_000;
    push();
    await check(world);
    const left = await manifest();
    expect(left?.garbage.filter((one) => one.sinceMs < world.nowMs - 86_400_000)).toEqual([]);
    const names = [...left!.packs, ...left!.garbage].map((one) => one.name);
    const files = await keysOf(world.storage, `${PACK_FOLDER}/`);
    expect(files.filter((key) => !names.some((name) => key.includes(name)))).toEqual([]);
    // It was open all the time, and has not heard of anything.
    const now = await other.snapshot();
    expect(now?.manifest.packs).toEqual(left!.packs);
    expect((await now!.store.read(now!.store.find(first))).content.length).toBeGreaterThan(0);
    now!.release();
  });
});
