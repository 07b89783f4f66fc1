/** Packs much of which nobody needs any more are written anew, whatever happens meanwhile. */
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { Catalog } from '../../../../src/mirror/catalog/catalog.ts';
import type { Manifest } from '../../../../src/mirror/catalog/manifest.ts';
import { mirrorKeys } from '../../../../src/mirror/keys.ts';
import { FastImport } from '../../../support/fast-import.ts';
import { gitSync } from '../../../support/git.ts';
import { addHistory, emptyRepository } from '../../../support/packed-repository.ts';
import { noise, revision } from '../../../support/repositories.ts';
import { asker, check, createWorld, filled, isHere, type World } from '../fake-upstream.ts';
import { seenByGit } from '../seen-by-git.ts';
import { KEY, PACK_FOLDER } from './packs-at-rest.ts';

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const never = new AbortController().signal;

let folder: string;
let world: World;
/** A branch that is larger than all else, and main; both filled. */
let gone: string;
let main: string;

function commitsOn(ref: string, commits: number, from: string): string {
  const stream = new FastImport(1_700_000_000);
  for (let n = 0; n < commits; n++) {
    const changes = [{ path: `${ref}/${n}.bin`, data: noise(`${ref} ${n}`, 20_000) }];
    stream.commit({ ref, message: `${ref} ${n}\n`, changes, ...(n === 0 ? { from } : {}) });
  }
  stream.run(folder);
  return revision(folder, ref);
}

const git = (...args: readonly string[]): string => gitSync(args, { cwd: folder }).trim();
const manifest = async (): Promise<Manifest> =>
  (await new Catalog(world.storage, mirrorKeys(KEY).manifest).read()) as Manifest;
const objectsOf = (...tips: readonly string[]): number => Number(git('rev-list', '--objects', '--count', ...tips));
const repacks = (process: World = world): number =>
  process.logged.filter(([event]) => event === 'mirror_repacked').length;

const judged = (): Promise<string> => seenByGit(world.storage, mirrorKeys(KEY).root);

/** Asks for refs, and waits for nothing else. */
async function look(process: World = world): Promise<void> {
  world.nowMs += 2_000;
  process.nowMs = world.nowMs;
  await process.mirror.refs('branches', { arrivedAtMs: world.nowMs, asker: asker() });
}

beforeEach(async () => {
  folder = emptyRepository('repack');
  addHistory(folder, { commits: 12 });
  gone = commitsOn('refs/heads/gone', 12, 'refs/heads/main^0');
  main = revision(folder, 'main');
  world = createWorld(folder);
  await filled(world);
});

/** The next pack's bytes are not begun before `release`. */
function holdNextPack(): { readonly reached: Promise<void>; readonly release: () => void } {
  const reached = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  const open = world.storage.openWriter.bind(world.storage);
  vi.spyOn(world.storage, 'openWriter').mockImplementationOnce(async (key, signal) => {
    reached.resolve();
    await gate.promise;
    return open(key, signal);
  });
  return { reached: reached.promise, release: gate.resolve };
}

describe('what no ref reaches any more', () => {
  test.each([
    ['deleted', () => git('update-ref', '-d', 'refs/heads/gone')],
    ['force-pushed', () => git('update-ref', 'refs/heads/gone', `${main}~3`)],
  ])('goes once its branch was %s; readers go on, and a day later its files go', async (_, letGo) => {
    const reader = await world.mirror.snapshot();
    letGo();
    await check(world);
    expect(await isHere(world.mirror, gone)).toBe(false);
    expect(await manifest()).toMatchObject({
      packs: [{ class: 'branches', objects: objectsOf('--branches', '--tags') }],
      strays: [],
      garbage: [{ name: reader!.manifest.packs[0]?.name }],
    });
    await judged();
    const object = reader!.store.find(gone);
    expect((await reader!.store.read(object)).content.length).toBeGreaterThan(0);
    reader!.release();
    world.nowMs += DAY_MS;
    addHistory(folder, { commits: 1, start: 12 });
    await check(world);
    await judged();
    const left = gitSync(['cat-file', '--batch-check'], { cwd: await judged(), input: `${gone}\n` });
    expect(left).toContain('missing');
    // Upstream gives it by its hash still: then it is here once more, and by itself.
    expect(await world.mirror.obtain([gone], asker(), never)).toEqual({ kind: 'here' });
    expect((await manifest()).packs.map((pack) => pack.class)).toEqual(['branches', 'branches', 'others']);
    expect(repacks()).toBe(1);
  });

  test('stays where it is little, and is not weighed twice', async () => {
    commitsOn('refs/heads/small', 1, `${main}~1`);
    await check(world);
    git('update-ref', '-d', 'refs/heads/small');
    const opened = vi.spyOn(world.storage, 'open');
    await check(world);
    const weighings = opened.mock.calls.length;
    expect(weighings).toBeGreaterThan(0);
    expect((await manifest()).strays).toHaveLength(1);
    await check(world);
    await check(world);
    expect(opened.mock.calls.length).toBe(weighings);
    expect(repacks()).toBe(0);
  });

  test('stays while upstream has lately given it by its hash, in a pack behind the branches, and goes after that', async () => {
    const pull = commitsOn('refs/pull/1/head', 2, gone);
    git('update-ref', '-d', 'refs/pull/1/head');
    expect(await world.mirror.obtain([pull], asker(), never)).toEqual({ kind: 'here' });
    git('update-ref', '-d', 'refs/heads/gone');
    await check(world);
    const shared = objectsOf('--branches', '--tags');
    expect((await manifest()).packs).toMatchObject([
      { class: 'branches', objects: shared },
      { class: 'others', objects: objectsOf(pull, '--branches', '--tags') - shared },
    ]);
    expect((await manifest()).strays.map((stray) => stray.oid)).toEqual([pull]);
    await judged();
    world.nowMs += HOUR_MS;
    await check(world);
    expect((await manifest()).packs).toMatchObject([{ class: 'branches', objects: shared }]);
    expect((await manifest()).strays).toEqual([]);
    expect(await isHere(world.mirror, pull)).toBe(false);
  });
});

describe('while packs are written anew', () => {
  test('what is pushed comes in, and stays', async () => {
    git('update-ref', '-d', 'refs/heads/gone');
    const { reached, release } = holdNextPack();
    await look();
    await reached;
    addHistory(folder, { commits: 2, start: 12 });
    const tip = revision(folder, 'main');
    await look();
    expect(await world.mirror.obtain([tip], asker(), never)).toEqual({ kind: 'here' });
    await judged();
    release();
    await world.idle();
    expect(repacks()).toBe(1);
    expect(await isHere(world.mirror, tip)).toBe(true);
    expect(await isHere(world.mirror, gone)).toBe(false);
    expect((await manifest()).packs.map((pack) => pack.objects)).toEqual([
      objectsOf(main, '--tags'),
      expect.any(Number),
    ]);
    await judged();
    world.nowMs += DAY_MS;
    await check(world);
    await judged();
  });

  test('somebody else may publish what leans on what would go: then all stays as it is', async () => {
    const child = commitsOn('refs/heads/child', 1, gone);
    // This process asks upstream as long as the branch is there, and is slow.
    const held = Promise.withResolvers<void>();
    world.upstream.nextFetch.push({ hold: held.promise, holdAfter: 100 });
    await look();
    const fetching = world.mirror.obtain([child], asker(), never);
    await vi.waitFor(() => expect(world.upstream.fetches).toHaveLength(2));
    expect(world.upstream.fetches[1]?.haves).toContain(gone);
    git('update-ref', '-d', 'refs/heads/gone');
    git('update-ref', '-d', 'refs/heads/child');
    const other = createWorld(folder, { storage: world.storage });
    const { reached, release } = holdNextPack();
    await look(other);
    await reached;
    held.resolve();
    expect(await fetching).toEqual({ kind: 'here' });
    release();
    await other.idle();
    expect(repacks(other)).toBe(0);
    expect(await isHere(world.mirror, child)).toBe(true);
    expect((await manifest()).packs).toHaveLength(2);
    await judged();
    // Nothing is left of the work that was dropped.
    const { objects } = await world.storage.list(`${PACK_FOLDER}/`);
    expect(objects.filter(({ key }) => key.endsWith('.pack'))).toHaveLength(2);
  });

  test('what somebody else publishes too late is fetched once more', async () => {
    const child = commitsOn('refs/heads/child', 1, gone);
    const held = Promise.withResolvers<void>();
    world.upstream.nextFetch.push({ hold: held.promise, holdAfter: 100 });
    await look();
    const fetching = world.mirror.obtain([child], asker(), never);
    await vi.waitFor(() => expect(world.upstream.fetches).toHaveLength(2));
    git('update-ref', '-d', 'refs/heads/gone');
    git('update-ref', '-d', 'refs/heads/child');
    const other = createWorld(folder, { storage: world.storage });
    await look(other);
    await other.idle();
    expect(repacks(other)).toBe(1);
    held.resolve();
    expect(await fetching).toEqual({ kind: 'here' });
    expect(world.upstream.fetches.map(({ haves }) => haves.includes(gone))).toEqual([false, true, false]);
    expect(await isHere(world.mirror, child)).toBe(true);
    world.nowMs += DAY_MS;
    await check(world);
    await judged();
  });

  test('a branch that comes back is held again', async () => {
    git('update-ref', '-d', 'refs/heads/gone');
    const { reached, release } = holdNextPack();
    await look();
    await reached;
    git('update-ref', 'refs/heads/gone', gone);
    await look();
    // Nothing is missing yet, so it is held without a fetch.
    await vi.waitFor(async () => expect(revision(await judged(), 'gone')).toBe(gone));
    release();
    await world.idle();
    expect(repacks()).toBe(0);
    expect(await isHere(world.mirror, gone)).toBe(true);
    world.nowMs += DAY_MS;
    await check(world);
    const all = gitSync(['rev-list', '--objects', '--all', '--count'], { cwd: await judged() });
    expect(Number(all)).toBe(objectsOf('--branches', '--tags'));
  });
});
