/** Which pack of a mirror has the bitmap, and what is walked beside it: what has come since. */
import { beforeEach, expect, test } from 'vitest';
import { createWalkCounters, type WalkCounters } from '../../../../src/pack/walk/contract.ts';
import { selectObjects } from '../../../../src/pack/walk/select-objects.ts';
import type { SelectionQuery } from '../../../../src/pack/selection.ts';
import { BoundedMap } from '../../../../src/upstream/bounded-map.ts';
import { FastImport } from '../../../support/fast-import.ts';
import { addHistory, emptyRepository } from '../../../support/packed-repository.ts';
import { revision } from '../../../support/repositories.ts';
import { gitSync } from '../../../support/git.ts';
import { asker, check, createWorld, filled, keysOf, type World } from '../fake-upstream.ts';
import { PACK_FOLDER } from './packs-at-rest.ts';

const COMMITS = 40;
const { signal } = new AbortController();

let folder: string;
let world: World;

beforeEach(async () => {
  folder = emptyRepository('bitmaps');
  addHistory(folder, { commits: COMMITS });
  world = createWorld(folder);
  await filled(world);
});

function clone(want: string): SelectionQuery {
  const ask = { deepen: { kind: 'none' }, filter: { kind: 'none' }, includeTags: [], thin: false } as const;
  return { wants: [want], haves: [], shallows: [], ...ask };
}

/** What selecting all that `want` reaches costs, by the mirror as the next process opens it. */
async function costOf(want: string): Promise<WalkCounters & { readonly objects: number; readonly packs: number }> {
  const snapshot = await world.restarted().snapshot();
  const counters = createWalkCounters();
  const { objects } = await selectObjects(snapshot!.store, clone(want), { signal, counters });
  const packs = snapshot!.manifest.packs.length;
  snapshot!.release();
  return { ...counters, objects: objects.length, packs };
}

function reachable(want: string): number {
  return Number(gitSync(['rev-list', '--objects', '--count', want], { cwd: folder }));
}

test('what was fetched for other refs is never bitmapped, however large it is', async () => {
  const stream = new FastImport();
  for (let n = 0; n < 150; n++) {
    const changes = [{ path: `pull/${n}.txt`, data: `of a pull request ${n}\n` }];
    const from = n === 0 ? { from: 'refs/heads/main^0' } : {};
    stream.commit({ ref: 'refs/pull/1/head', message: `pull ${n}\n`, changes, ...from });
  }
  stream.run(folder);
  const pull = revision(folder, 'refs/pull/1/head');
  expect(await world.mirror.obtain([pull], asker(), signal)).toEqual({ kind: 'here' });
  await check(world);
  const snapshot = await world.mirror.snapshot();
  const [branches, others] = snapshot!.manifest.packs;
  snapshot!.release();
  expect(others!.objects).toBeGreaterThan(branches!.objects);
  const bitmaps = (await keysOf(world.storage, PACK_FOLDER)).filter((key) => key.endsWith('.bitmap'));
  expect(bitmaps).toEqual([`${PACK_FOLDER}/${branches!.name}.bitmap`]);
  const main = revision(folder, 'main');
  expect(await costOf(main)).toMatchObject({ commitsRead: 0, treesRead: 0, objects: reachable(main) });
});

test('a mirror of several packs walks what is newer than its bitmap, and nothing that is older', async () => {
  const pushes = 4;
  const perPush = 3;
  for (let push = 0; push < pushes; push++) {
    addHistory(folder, { commits: perPush, start: COMMITS + perPush * push });
    // oxlint-disable-next-line no-await-in-loop -- a pack each
    await check(world);
  }
  const main = revision(folder, 'main');
  const cost = await costOf(main);
  expect(cost).toMatchObject({ packs: 1 + pushes, objects: reachable(main) });
  expect(cost.commitsRead).toBe(pushes * perPush);
  // A root, `src` and `src/deep` each.
  expect(cost.treesRead).toBeLessThanOrEqual(3 * pushes * perPush);
});

test('where so many ranges may be read for it, a pack that takes more has none, and is not tried again', async () => {
  const tried = (one: World): unknown[] =>
    one.logged.flatMap(([event, fields]) => (event === 'bitmap_made' ? [(fields as { outcome: string }).outcome] : []));
  for (const [max, outcome, files] of [
    [0, 'too_many_reads', 0],
    [1_000, 'written', 1],
  ] as const) {
    const limited = createWorld(folder, { bitmapReads: { max, tooMany: new BoundedMap(8) } });
    await filled(limited);
    expect(tried(limited)).toEqual([outcome]);
    const bitmaps = (await keysOf(limited.storage, PACK_FOLDER)).filter((key) => key.endsWith('.bitmap'));
    expect(bitmaps).toHaveLength(files);
    if (files > 0) continue;
    await check(limited, asker(), limited.restarted());
    expect(tried(limited)).toEqual([outcome]);
  }
});
