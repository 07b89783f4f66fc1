/** How large a mirror may be: what would be larger is given up while it comes, leaves nothing, and is not tried again and again. */
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { FillRoom } from '../../../src/mirror/maintenance/space/fill-rooms.ts';
import type { Mirror } from '../../../src/mirror/mirror.ts';
import { gitSync, temporaryFolder } from '../../support/git.ts';
import { commitUpstream, datedRepository } from '../../support/repositories.ts';
import { asker, check, createWorld, filled, isHere, keysOf, repository, type World } from './fake-upstream.ts';

const HOUR_MS = 3_600_000;
const never = new AbortController().signal;
const NOTE = `jobs/too-large/${repository.key}`;

function copyOf(original: string): string {
  const folder = join(temporaryFolder('upstream'), 'r.git');
  cpSync(original, folder, { recursive: true });
  return folder;
}

/** Bytes of the packs of a mirror of it. */
async function packBytes(folder: string): Promise<number> {
  const world = createWorld(folder);
  await filled(world);
  const snapshot = await world.mirror.snapshot();
  snapshot?.release();
  return snapshot?.manifest.packs.reduce((sum, pack) => sum + pack.packBytes, 0) ?? 0;
}

async function triesToFill(world: World, mirror: Mirror): Promise<number> {
  const before = world.upstream.fetches.length;
  const refs = await check(world, asker(), mirror);
  mirror.fill({ refs, asker: asker() });
  await world.idle();
  return world.upstream.fetches.length - before;
}

test('a fill that becomes too large is given up while it comes, once for all instances, until a day later', async () => {
  const folder = copyOf(datedRepository());
  const bytes = await packBytes(folder);
  const world = createWorld(folder, { maxMirrorBytes: bytes - 1 });
  expect(await triesToFill(world, world.mirror)).toBe(1);
  expect(world.upstream.fetches[0]?.wasCancelled).toBe(true);
  expect(await keysOf(world.storage, 'mirrors/')).toEqual([]);
  expect([world.mirror.isTooLarge, world.mirror.fillState]).toEqual([true, 'idle']);

  expect(await triesToFill(world, world.mirror)).toBe(0);
  const other = world.restarted();
  expect(other.isTooLarge).toBe(false);
  expect(await triesToFill(world, other)).toBe(0);
  expect(other.isTooLarge).toBe(true);
  expect(await other.warm(asker(), { signal: never })).toBe('too_large');

  world.nowMs += 25 * HOUR_MS;
  expect([other.isTooLarge, await triesToFill(world, other)]).toEqual([false, 1]);
  expect(other.isTooLarge).toBe(true);
});

test('one that just fits is filled; a limit that was raised is tried, a lower one is not', async () => {
  const folder = copyOf(datedRepository());
  const bytes = await packBytes(folder);
  const world = createWorld(folder, { maxMirrorBytes: bytes - 1 });
  await triesToFill(world, world.mirror);
  const { storage } = world;
  const lower = createWorld(folder, { storage, maxMirrorBytes: bytes - 2 });
  expect(await triesToFill(lower, lower.mirror)).toBe(0);
  const raised = createWorld(folder, { storage, maxMirrorBytes: bytes });
  expect(await triesToFill(raised, raised.mirror)).toBe(1);
  expect([raised.mirror.isTooLarge, await raised.mirror.isHere()]).toEqual([false, true]);
  const without = createWorld(folder, { storage: world.storage });
  expect(await without.mirror.warm(asker(), { signal: never })).toBe('unchanged');
});

test('a note that nobody can read counts for nothing', async () => {
  const folder = copyOf(datedRepository());
  const world = createWorld(folder, { maxMirrorBytes: 1 << 30 });
  await world.storage.put(NOTE, new TextEncoder().encode('{"maxBytes":"'));
  expect(await triesToFill(world, world.mirror)).toBe(1);
  expect(await world.mirror.isHere()).toBe(true);
});

test('a mirror that an update would make too large goes, though somebody reads it', async () => {
  const folder = copyOf(datedRepository());
  const bytes = await packBytes(folder);
  for (const isRead of [false, true]) {
    const world = createWorld(copyOf(folder), { maxMirrorBytes: bytes + 10 });
    await filled(world);
    const reading = isRead ? await world.mirror.snapshot() : undefined;
    commitUpstream(world.upstream.folder);
    await check(world);
    expect(world.upstream.fetches.map((one) => one.purpose)).toEqual(['fill', 'update']);
    expect(world.upstream.fetches[1]?.wasCancelled).toBe(true);
    expect([world.mirror.isTooLarge, await world.mirror.isHere()]).toEqual([true, false]);
    expect((await keysOf(world.storage, 'mirrors/')).some((key) => key.endsWith('.pack'))).toBe(isRead);
    if (reading !== undefined) {
      expect(await reading.store.read(0)).toBeDefined();
      reading.release();
      await world.idle();
    }
    expect(await keysOf(world.storage, 'mirrors/')).toEqual([]);
    expect(await triesToFill(world, world.mirror)).toBe(0);
  }
});

test('so does one that objects by hash would make too large, and one that a lower limit forbids', async () => {
  const folder = copyOf(datedRepository());
  const bytes = await packBytes(folder);
  const world = createWorld(folder, { maxMirrorBytes: bytes + 10 });
  await filled(world);
  gitSync(['config', 'uploadpack.allowAnySHA1InWant', 'true'], { cwd: folder });
  const next = commitUpstream(folder);
  gitSync(['update-ref', 'refs/pull/1/head', next], { cwd: folder });
  gitSync(['update-ref', 'refs/heads/main', `${next}~1`], { cwd: folder });
  expect(await world.mirror.obtain([next], asker(), never)).toEqual({ kind: 'later' });
  expect([await isHere(world.mirror, next), world.mirror.isTooLarge]).toEqual([false, true]);

  const here = createWorld(copyOf(datedRepository()));
  await filled(here);
  const lower = createWorld(here.upstream.folder, { storage: here.storage, maxMirrorBytes: bytes - 1 });
  await check(lower);
  expect([lower.mirror.isTooLarge, await lower.mirror.isHere()]).toEqual([true, false]);
  expect(lower.upstream.fetches).toEqual([]);
});

test('bytes that an earlier stage has brought keep to the room that is there when they are to be taken in', async () => {
  const folder = copyOf(datedRepository());
  const world = createWorld(folder, { staging: { endsAfterBytes: 0 } });
  const taken: number[] = [];
  const room = (bytes: number): FillRoom => ({
    isNone: false,
    take: (more) => taken.push(more) > 0 && taken.reduce((sum, one) => sum + one, 0) <= bytes,
    release: () => taken.splice(0),
  });
  const warm = (bytes: number): Promise<unknown> => world.restarted().warm(asker(), { signal: never }, room(bytes));
  expect(await warm(1 << 30)).toBe('staged');
  const staged = taken.splice(0).reduce((sum, one) => sum + one, 0);
  expect(await warm(staged)).toBe('cloned');
  expect([taken.splice(0), world.upstream.fetches.length]).toEqual([[staged], 1]);

  const other = createWorld(folder, { staging: { endsAfterBytes: 0 } });
  expect(await other.mirror.warm(asker(), { signal: never })).toBe('staged');
  expect(await keysOf(other.storage, 'mirrors/')).toHaveLength(2);
  expect(await other.restarted().warm(asker(), { signal: never }, room(staged - 1))).toBe('no_room');
  expect([await keysOf(other.storage, 'mirrors/'), other.upstream.fetches.length]).toEqual([[], 1]);
});
