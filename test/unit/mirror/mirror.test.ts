import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { Mirror } from '../../../src/mirror/mirror.ts';
import type { MirrorSnapshot } from '../../../src/mirror/copy/snapshot.ts';
import { gitSync, temporaryFolder } from '../../support/git.ts';
import { commitUpstream, datedRepository, noise, revision } from '../../support/repositories.ts';
import { FastImport } from '../../support/fast-import.ts';
import {
  asker,
  check,
  createWorld,
  DENIED,
  DOWN,
  filled,
  isHere,
  keysOf,
  refsOf,
  repository,
} from './fake-upstream.ts';

const never = new AbortController().signal;

function copyOf(original = datedRepository()): string {
  const folder = join(temporaryFolder('upstream'), 'r.git');
  cpSync(original, folder, { recursive: true });
  return folder;
}

async function heldBy(mirror: Mirror): Promise<Record<string, string>> {
  const snapshot = await mirror.snapshot();
  snapshot?.release();
  return Object.fromEntries((snapshot?.held.refs ?? []).map((ref) => [ref.name, ref.oid]));
}

const namesIn = (folder: string): Record<string, string> =>
  Object.fromEntries(refsOf(folder).refs.map((ref) => [ref.name, ref.oid]));

async function withSnapshot<T>(mirror: Mirror, work: (snapshot: MirrorSnapshot) => Promise<T>): Promise<T> {
  const snapshot = await mirror.snapshot();
  if (snapshot === undefined) throw new Error('no mirror');
  try {
    return await work(snapshot);
  } finally {
    snapshot.release();
  }
}

afterEach(() => vi.useRealTimers());

describe('fill', () => {
  test('takes all that branches and tags reach by one fetch', async () => {
    const folder = copyOf();
    const world = createWorld(folder);
    await filled(world);
    expect(world.upstream.fetches.map(({ haves, purpose }) => [haves, purpose])).toEqual([[[], 'fill']]);
    expect(await heldBy(world.mirror)).toEqual(namesIn(folder));
    const objects = gitSync(['rev-list', '--objects', '--all'], { cwd: folder }).trim().split('\n').length;
    await withSnapshot(world.mirror, async ({ store }) => expect(store.objectCount).toBeGreaterThanOrEqual(objects));
  });

  test('reads along with a clone; what it wanted beyond refs is remembered as confirmed', async () => {
    const folder = copyOf();
    const other = gitSync(['commit-tree', '-m', 'pr', 'HEAD^{tree}', '-p', 'HEAD'], { cwd: folder }).trim();
    const world = createWorld(folder);
    const refs = await check(world);
    const wants = [...new Set(refs.refs.map((ref) => ref.oid)), other];
    const pack = packOf(folder, wants);
    let left = 0;
    async function* chunks(): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < pack.length; at += 5000) yield pack.slice(at, at + 5000);
    }
    const rejected = vi.fn<() => void>();
    world.mirror.fill({ refs, asker: asker(), stream: { wants, chunks, leave: () => left++, reject: rejected } });
    await world.idle();
    expect(world.upstream.fetches).toEqual([]);
    expect(left).toBe(1);
    expect(rejected).not.toHaveBeenCalled();
    await withSnapshot(world.mirror, async (snapshot) => {
      expect(snapshot.manifest.strays).toEqual([{ oid: other, confirmedAtMs: world.nowMs }]);
      // What it wanted beyond refs lies in a pack of its own, and the pack that it came in is gone.
      const inBranches = Number(gitSync(['rev-list', '--objects', '--count', '--all'], { cwd: folder }));
      const packs = snapshot.manifest.packs.map((one) => `${one.class} ${one.objects}`);
      expect(packs).toEqual([`branches ${inBranches}`, 'others 1']);
      expect((await keysOf(world.storage)).filter((key) => key.endsWith('.pack'))).toHaveLength(2);
      expect(await world.mirror.unconfirmedWants(snapshot, [other], never)).toEqual([]);
    });
  });

  test('rejects a stream that is no good pack, so that nobody else is given it', async () => {
    const folder = copyOf();
    const world = createWorld(folder);
    const refs = await check(world);
    const wants = [...new Set(refs.refs.map((ref) => ref.oid))];
    async function* chunks(): AsyncGenerator<Uint8Array> {
      yield packOf(folder, wants).slice(0, -1);
    }
    const rejected = vi.fn<() => void>();
    world.mirror.fill({ refs, asker: asker(), stream: { wants, chunks, leave: () => undefined, reject: rejected } });
    await world.idle();
    expect(rejected).toHaveBeenCalledOnce();
  });

  test.each([
    ['cut', { cutAfter: 9000 }],
    ['cut at once', { cutAfter: 0 }],
    ['with a flipped bit', { flipByte: 9000 }],
    ['denied', { failure: DENIED }],
    ['unanswered', { failure: DOWN }],
  ])('%s leaves nothing behind and backs off', async (_, rule) => {
    const world = createWorld(copyOf());
    world.upstream.nextFetch.push(rule);
    await filled(world);
    expect(await keysOf(world.storage)).toEqual([]);
    expect(await world.mirror.snapshot()).toBeUndefined();
    const refs = world.mirror.knownRefs()!;
    expect(world.mirror.fill({ refs, asker: asker() })).toBe('backing_off');
    world.nowMs += 12_001;
    expect(world.mirror.fill({ refs, asker: asker() })).toBe('started');
    expect(world.mirror.fill({ refs, asker: asker() })).toBe('under_way');
    await world.idle();
    expect(await isHere(world.mirror, revision(world.upstream.folder, 'HEAD'))).toBe(true);
  });

  test('leaves no pack where the manifest cannot be written', async () => {
    const world = createWorld(copyOf());
    const replace = vi.spyOn(world.storage, 'replaceDocument').mockRejectedValue(new Error('no space'));
    await filled(world);
    expect(replace).toHaveBeenCalled();
    // A repository without objects, as git sees it.
    const left = (await keysOf(world.storage)).map((key) => key.split('.git/')[1]);
    expect(left).toEqual(['HEAD', 'config', 'refs/folder.lock']);
  });

  test('of two processes that fill at once one pack stays', async () => {
    const world = createWorld(copyOf());
    const refs = await check(world);
    const gate = Promise.withResolvers<void>();
    world.upstream.nextFetch.push({ hold: gate.promise });
    world.mirror.fill({ refs, asker: asker() });
    const other = createWorld(world.upstream.folder, { storage: world.storage });
    await filled(other);
    gate.resolve();
    await new Promise((resolve) => setImmediate(resolve));
    await world.idle();
    expect((await keysOf(world.storage)).filter((key) => key.endsWith('.pack'))).toHaveLength(1);
    expect(await heldBy(world.mirror)).toEqual(namesIn(world.upstream.folder));
  });
});

function packOf(folder: string, oids: readonly string[]): Uint8Array {
  const out = join(temporaryFolder('pack'), 'p');
  const name = gitSync(['pack-objects', '--revs', '-q', out], { cwd: folder, input: `${oids.join('\n')}\n` }).trim();
  return new Uint8Array(readFileSync(`${out}-${name}.pack`));
}

describe('update', () => {
  test('fetches what is missing and nothing else', async () => {
    const folder = copyOf();
    const world = createWorld(folder);
    await filled(world);
    const tip = revision(folder, 'HEAD');
    const next = commitUpstream(folder);
    await check(world);
    const [, second] = world.upstream.fetches;
    expect(second).toMatchObject({ wants: [next], purpose: 'update', packObjects: 4 });
    expect(second?.haves).toContain(tip);
    expect(await heldBy(world.mirror)).toEqual(namesIn(folder));
    await check(world);
    expect(world.upstream.fetches).toHaveLength(2);
  });

  test('a deleted branch and a force-push leave strays, which upstream must confirm', async () => {
    const folder = copyOf();
    const gone = commitUpstream(folder, 'side', 'refs/heads/main');
    const replaced = commitUpstream(folder);
    const world = createWorld(folder);
    await filled(world);
    gitSync(['update-ref', '-d', 'refs/heads/side'], { cwd: folder });
    gitSync(['update-ref', 'refs/heads/main', `${replaced}^`], { cwd: folder });
    await check(world);
    expect(await heldBy(world.mirror)).toEqual(namesIn(folder));
    expect(world.upstream.fetches).toHaveLength(1);
    await withSnapshot(world.mirror, async (snapshot) => {
      const strays = new Map(snapshot.manifest.strays.map(({ oid, confirmedAtMs }) => [oid, confirmedAtMs]));
      expect(strays).toEqual(
        new Map([
          [gone, 0],
          [replaced, 0],
        ]),
      );
      const blob = revision(folder, `${replaced}^{tree}`);
      const reached = revision(folder, 'refs/heads/main');
      expect(await world.mirror.unconfirmedWants(snapshot, [gone, blob, reached], never)).toEqual([gone, blob]);

      expect(await world.mirror.confirmWants([gone], asker(), never)).toEqual({ kind: 'here' });
      expect(world.upstream.fetches.at(-1)).toMatchObject({ wants: [gone], haves: [gone], packObjects: 0 });
      expect(await world.mirror.unconfirmedWants(snapshot, [gone], never)).toEqual([]);
      world.nowMs += 3_600_000;
      expect(await world.mirror.unconfirmedWants(snapshot, [gone], never)).toEqual([gone]);
    });
    gitSync(['update-ref', 'refs/heads/again', gone], { cwd: folder });
    await check(world);
    await withSnapshot(world.mirror, async ({ manifest }) =>
      expect(manifest.strays.map(({ oid }) => oid)).toEqual([replaced]),
    );
  });

  test.each(['shares no object', 'shares a file'])(
    'another repository under the name (that %s) starts empty',
    async (how) => {
      const folder = copyOf();
      const world = createWorld(folder);
      await filled(world);
      const old = revision(folder, 'HEAD');
      const other = join(temporaryFolder('upstream'), 'other.git');
      gitSync(['init', '-q', '--bare', '-b', 'main', other]);
      const [path] = gitSync(['ls-tree', '-r', '--name-only', old], { cwd: folder }).split('\n') as [string];
      const data = how === 'shares a file' ? gitSync(['show', `${old}:${path}`], { cwd: folder }) : 'new';
      const stream = new FastImport(1_900_000_000);
      stream.commit({ ref: 'refs/heads/main', message: 'new', changes: [{ path, data }] });
      stream.run(other);
      world.upstream.folder = other;
      await check(world);
      expect(await world.mirror.snapshot()).toBeUndefined();
      expect(world.logged.map(([event]) => event)).toContain('mirror_reset');
      world.mirror.fill({ refs: world.mirror.knownRefs()!, asker: asker() });
      await world.idle();
      expect(await heldBy(world.mirror)).toEqual(namesIn(other));
      expect(await isHere(world.mirror, old)).toBe(false);
    },
  );

  test('one that fails changes nothing and leaves no file', async () => {
    const folder = copyOf();
    const world = createWorld(folder);
    await filled(world);
    const held = await heldBy(world.mirror);
    // That it was used is noted behind the answer.
    await world.idle();
    const before = await keysOf(world.storage);
    commitUpstream(folder);
    world.upstream.nextFetch.push({ cutAfter: 200 });
    await check(world);
    expect(await keysOf(world.storage)).toEqual(before);
    expect(await heldBy(world.mirror)).toEqual(held);
    await check(world);
    expect(await heldBy(world.mirror)).toEqual(namesIn(folder));
  });

  test('asks as the client whose check caused it, never as one who was there before', async () => {
    const folder = copyOf();
    const world = createWorld(folder);
    await filled(world);
    const early = asker('early');
    await check(world, early);
    commitUpstream(folder);
    const late = asker('late');
    await check(world, late);
    expect(world.upstream.fetches.at(-1)?.credential).toBe(late.credential);
    commitUpstream(folder);
    await check(world);
    expect(world.upstream.fetches.at(-1)?.credential).toBeUndefined();
  });

  test('within a second of a publication waits its turn; a client that waits does not', async () => {
    const folder = copyOf();
    const world = createWorld(folder);
    await filled(world);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const next = commitUpstream(folder);
    await world.mirror.refs('branches', { arrivedAtMs: world.nowMs, asker: asker() });
    await world.idle();
    expect(world.upstream.fetches).toHaveLength(1);
    expect(await world.mirror.obtain([next], asker(), never)).toEqual({ kind: 'here' });
    expect(world.upstream.fetches).toHaveLength(2);
    const another = commitUpstream(folder);
    await world.mirror.refs('branches', { arrivedAtMs: world.nowMs, asker: asker() });
    await world.idle();
    await vi.advanceTimersByTimeAsync(1000);
    await world.idle();
    expect(world.upstream.fetches).toHaveLength(3);
    expect(await isHere(world.mirror, another)).toBe(true);
  });
});

describe('wants', () => {
  async function withPull(): Promise<{ world: ReturnType<typeof createWorld>; pull: string }> {
    const folder = copyOf();
    const world = createWorld(folder);
    await filled(world);
    const pull = gitSync(['commit-tree', '-m', 'pr', 'HEAD^{tree}', '-p', 'HEAD'], { cwd: folder }).trim();
    return { world, pull };
  }

  test('are fetched by hash with our tips as haves, and may be served for an hour', async () => {
    const { world, pull } = await withPull();
    const confirmedAtMs = world.nowMs;
    expect(await world.mirror.obtain([pull], asker(), never)).toEqual({ kind: 'here' });
    expect(world.upstream.fetches.at(-1)).toMatchObject({ wants: [pull], packObjects: 1, purpose: 'update' });
    await withSnapshot(world.mirror, async (snapshot) => {
      expect(snapshot.manifest.strays).toEqual([{ oid: pull, confirmedAtMs }]);
      expect(await world.mirror.unconfirmedWants(snapshot, [pull], never)).toEqual([]);
      world.nowMs += 3_600_000;
      expect(await world.mirror.unconfirmedWants(snapshot, [pull], never)).toEqual([pull]);
    });
  });

  test('that only a pull request shows are fetched too', async () => {
    const { world, pull } = await withPull();
    gitSync(['update-ref', 'refs/pull/1/merge', pull], { cwd: world.upstream.folder });
    world.nowMs += 2_000;
    await world.mirror.refs('all', { arrivedAtMs: world.nowMs, asker: asker() });
    await world.idle();
    expect(await isHere(world.mirror, pull)).toBe(false);
    expect(await world.mirror.obtain([pull], asker(), never)).toEqual({ kind: 'here' });
    expect(await isHere(world.mirror, pull)).toBe(true);
  });

  test('that upstream refuses: its words, for five seconds, and only for the one it named', async () => {
    const { world, pull } = await withPull();
    const none = 'f'.repeat(40);
    const refused = await world.mirror.obtain([none, pull], asker(), never);
    expect(refused).toMatchObject({ kind: 'refused', message: expect.stringContaining(none) });
    const asked = world.upstream.fetches.length;
    expect(await world.mirror.obtain([none], asker(), never)).toEqual(refused);
    expect(world.upstream.fetches).toHaveLength(asked);
    expect(await world.mirror.obtain([pull], asker(), never)).toEqual({ kind: 'here' });
    world.nowMs += 5_000;
    await world.mirror.obtain([none], asker(), never);
    expect(world.upstream.fetches).toHaveLength(asked + 2);
  });

  test('that take five seconds are for later, and come all the same', async () => {
    const { world, pull } = await withPull();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const gate = Promise.withResolvers<void>();
    world.upstream.nextFetch.push({ hold: gate.promise });
    const obtained = world.mirror.obtain([pull], asker(), never);
    await vi.advanceTimersByTimeAsync(4_999);
    let isOver = false;
    void obtained.then(() => (isOver = true));
    await Promise.resolve();
    expect(isOver).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(await obtained).toEqual({ kind: 'later' });
    expect(vi.getTimerCount()).toBe(0);
    gate.resolve();
    await world.idle();
    expect(await isHere(world.mirror, pull)).toBe(true);
  });

  test.each(['by hash', 'as a branch'])('above 16 MiB are for later, and come all the same (%s)', async (how) => {
    const folder = copyOf();
    const world = createWorld(folder);
    await filled(world);
    const stream = new FastImport(1_900_000_000);
    const from = revision(folder, 'refs/heads/main');
    const changes = [{ path: 'large', data: noise('large', 17 << 20) }];
    stream.commit({ ref: 'refs/heads/large', from, message: 'large', changes });
    stream.run(folder);
    const large = revision(folder, 'refs/heads/large');
    if (how === 'by hash') gitSync(['update-ref', '-d', 'refs/heads/large'], { cwd: folder });
    else await world.mirror.refs('branches', { arrivedAtMs: world.nowMs, asker: asker() });
    const gate = Promise.withResolvers<void>();
    world.upstream.nextFetch.push({ hold: gate.promise, holdAfter: (16 << 20) + 100_000 });
    expect(await world.mirror.obtain([large], asker(), never)).toEqual({ kind: 'later' });
    gate.resolve();
    await world.idle();
    expect(await isHere(world.mirror, large)).toBe(true);
  });

  test('whoever leaves ends nothing; equal wants are fetched once', async () => {
    const { world, pull } = await withPull();
    const gate = Promise.withResolvers<void>();
    world.upstream.nextFetch.push({ hold: gate.promise });
    const leaving = new AbortController();
    const first = world.mirror.obtain([pull], asker(), leaving.signal);
    const second = world.mirror.obtain([pull], asker(), never);
    leaving.abort();
    await expect(first).rejects.toMatchObject({ code: 'aborted' });
    gate.resolve();
    expect(await second).toEqual({ kind: 'here' });
    expect(world.upstream.fetches).toHaveLength(2);
  });
});

describe('what upstream advertised', () => {
  test('survives a restart, and is written only where it changed', async () => {
    const folder = copyOf();
    const world = createWorld(folder, { intervalMs: 10_000 });
    await filled(world);
    const put = vi.spyOn(world.storage, 'put');
    world.nowMs += 60_000;
    await check(world);
    expect(put).not.toHaveBeenCalled();
    gitSync(['update-ref', '-d', 'refs/heads/side'], { cwd: folder });
    commitUpstream(folder);
    world.nowMs += 60_000;
    const shown = await check(world);
    const mirror = world.restarted();
    await withSnapshot(mirror, async () => expect(mirror.knownRefs()).toEqual(shown));
    const asked = world.upstream.lsRefsCalls.length;
    world.nowMs += 9_999;
    expect(await mirror.refs('branches', { arrivedAtMs: world.nowMs, asker: asker() })).toMatchObject({
      kind: 'known',
    });
    expect(world.upstream.lsRefsCalls).toHaveLength(asked);
    world.nowMs += 1;
    await mirror.refs('branches', { arrivedAtMs: world.nowMs, asker: asker() });
    expect(world.upstream.lsRefsCalls).toHaveLength(asked + 1);
  });

  test('does not survive a push', async () => {
    const world = createWorld(copyOf(), { intervalMs: 10_000 });
    await filled(world);
    world.mirror.pushed();
    await world.idle();
    expect(await keysOf(world.storage, 'mirrors/')).not.toContain(`mirrors/${repository.key}/hotpack/advertised`);
  });

  test('is not kept where nothing is here, and does no harm where it is damaged', async () => {
    const world = createWorld(copyOf(), { intervalMs: 10_000 });
    await check(world);
    expect(await keysOf(world.storage)).toEqual([]);
    await filled(world);
    await world.storage.put(`mirrors/${repository.key}/hotpack/advertised`, new TextEncoder().encode('{"format":2}'));
    const mirror = world.restarted();
    await withSnapshot(mirror, async () => expect(mirror.knownRefs()).toBeUndefined());
  });
});
