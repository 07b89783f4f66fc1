/** A mirror that is warmed: nobody has asked, nobody waits, and no client's credential is there to ask upstream with. */
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Mirror } from '../../../src/mirror/mirror.ts';
import { gitSync, temporaryFolder } from '../../support/git.ts';
import { commitUpstream, datedRepository, emptyRepository, revision } from '../../support/repositories.ts';
import { asker, check, createWorld, DENIED, DOWN, filled, isHere, keysOf, refsOf } from './fake-upstream.ts';

const never = new AbortController().signal;

function copyOf(original: string): string {
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

test('what is not here is cloned by one list of refs and one fetch, and bytes are told as they come', async () => {
  const folder = copyOf(datedRepository());
  const { mirror, upstream } = createWorld(folder);
  const received: number[] = [];
  expect(await mirror.warm(asker(), { signal: never, onProgress: (bytes) => received.push(bytes) })).toBe('cloned');
  expect(upstream.lsRefsCalls).toEqual([undefined]);
  expect(upstream.fetches).toMatchObject([{ haves: [], purpose: 'fill', credential: undefined }]);
  expect(await heldBy(mirror)).toEqual(namesIn(folder));
  expect(received.length).toBeGreaterThan(1);
  expect(received).toEqual([...new Set(received)].toSorted((left, right) => left - right));
  expect(mirror.lastAskedAtMs).toBeUndefined();
});

test('what is as upstream shows it costs one list of refs', async () => {
  const { mirror, upstream } = createWorld(copyOf(datedRepository()));
  await mirror.warm(asker(), { signal: never });
  expect(await mirror.warm(asker(), { signal: never })).toBe('unchanged');
  expect(upstream.lsRefsCalls).toHaveLength(2);
  expect(upstream.fetches).toHaveLength(1);
});

test('what is behind is fetched, once, and nothing but what is new', async () => {
  const folder = copyOf(datedRepository());
  const world = createWorld(folder);
  const { mirror, upstream } = world;
  await mirror.warm(asker(), { signal: never });
  const before = revision(folder, 'HEAD');
  const next = commitUpstream(folder);
  world.nowMs += 60_000;
  expect(await mirror.warm(asker(), { signal: never })).toBe('fetched');
  await world.idle();
  expect(upstream.fetches).toHaveLength(2);
  expect(upstream.fetches[1]).toMatchObject({
    wants: [next],
    purpose: 'update',
    packObjects: 4,
    credential: undefined,
  });
  expect(upstream.fetches[1]?.haves).toContain(before);
  expect(await heldBy(mirror)).toEqual(namesIn(folder));
});

test('a branch that is gone goes without a fetch', async () => {
  const folder = copyOf(datedRepository());
  gitSync(['branch', 'passing', 'main'], { cwd: folder });
  const world = createWorld(folder);
  await world.mirror.warm(asker(), { signal: never });
  gitSync(['branch', '-D', 'passing'], { cwd: folder });
  world.nowMs += 60_000;
  expect(await world.mirror.warm(asker(), { signal: never })).toBe('fetched');
  expect(world.upstream.fetches).toHaveLength(1);
  expect(await heldBy(world.mirror)).toEqual(namesIn(folder));
});

test('a repository without objects leaves nothing here', async () => {
  const { mirror, upstream, storage } = createWorld(copyOf(emptyRepository()));
  expect(await mirror.warm(asker(), { signal: never })).toBe('empty');
  expect(upstream.fetches).toEqual([]);
  expect(await keysOf(storage)).toEqual([]);
});

test('what upstream answers instead is what it rejects with, and the next try is not put off', async () => {
  const folder = copyOf(datedRepository());
  const { mirror, upstream, storage } = createWorld(folder);
  upstream.nextRefs.push(DENIED, DOWN);
  await expect(mirror.warm(asker(), { signal: never })).rejects.toMatchObject({
    code: 'upstream_denied',
    detail: { status: 401 },
  });
  await expect(mirror.warm(asker(), { signal: never })).rejects.toMatchObject({ code: 'upstream_unavailable' });
  upstream.nextFetch.push({ failure: DENIED }, { cutAfter: 9_000 }, { flipByte: 9_000 });
  await expect(mirror.warm(asker(), { signal: never })).rejects.toMatchObject({ code: 'upstream_denied' });
  await expect(mirror.warm(asker(), { signal: never })).rejects.toMatchObject({ code: 'upstream_unavailable' });
  await expect(mirror.warm(asker(), { signal: never })).rejects.toMatchObject({ code: expect.any(String) });
  expect(await keysOf(storage)).toEqual([]);
  expect(await mirror.warm(asker(), { signal: never })).toBe('cloned');
});

test('the signal ends a clone and an update in their midst: upstream is let go, and nothing half is left', async () => {
  const folder = copyOf(datedRepository());
  const world = createWorld(folder);
  const { mirror, upstream, storage } = world;
  const endInMidst = async (): Promise<void> => {
    upstream.nextFetch.push({ hold: new Promise(() => undefined) });
    const ending = new AbortController();
    const calls = upstream.fetches.length;
    const warming = mirror.warm(asker(), { signal: ending.signal });
    const ended = warming.catch((error: unknown) => error);
    while (upstream.fetches.length === calls) await new Promise((resolve) => setImmediate(resolve));
    ending.abort();
    expect(await ended).toMatchObject({ code: 'aborted' });
    await world.idle();
    expect(upstream.fetches.at(-1)?.wasCancelled).toBe(true);
  };
  await endInMidst();
  expect(await keysOf(storage)).toEqual([]);
  expect(await mirror.warm(asker(), { signal: never })).toBe('cloned');
  // The bitmap follows in the background.
  await world.idle();
  // When a mirror was last used is written when there is time for it.
  const held = async (): Promise<string[]> =>
    (await keysOf(storage, 'mirrors/')).filter((key) => !key.endsWith('/hotpack/used'));
  const before = await held();
  const next = commitUpstream(folder);
  world.nowMs += 60_000;
  await endInMidst();
  expect(await isHere(mirror, next)).toBe(false);
  expect(await held()).toEqual(before);
  expect(await mirror.warm(asker(), { signal: never })).toBe('fetched');
});

test('the fill that a client has begun is joined; who stops waiting for it does not end it', async () => {
  const folder = copyOf(datedRepository());
  const world = createWorld(folder);
  const gate = Promise.withResolvers<void>();
  world.upstream.nextFetch.push({ hold: gate.promise });
  const refs = await check(world, asker('secret'));
  world.mirror.fill({ refs, asker: asker('secret') });
  const leaving = new AbortController();
  const left = world.mirror.warm(asker(), { signal: leaving.signal });
  const waiting = world.mirror.warm(asker(), { signal: never });
  await new Promise((resolve) => setImmediate(resolve));
  leaving.abort();
  await expect(left).rejects.toMatchObject({ code: 'aborted' });
  gate.resolve();
  expect(await waiting).toBe('cloned');
  expect(world.upstream.fetches).toHaveLength(1);
});

test('a client that has become interested keeps the update going', async () => {
  const folder = copyOf(datedRepository());
  const world = createWorld(folder);
  await filled(world);
  const next = commitUpstream(folder);
  world.nowMs += 60_000;
  const gate = Promise.withResolvers<void>();
  world.upstream.nextFetch.push({ hold: gate.promise });
  const leaving = new AbortController();
  const warming = world.mirror.warm(asker(), { signal: leaving.signal });
  const left = warming.catch((error: unknown) => error);
  while (world.upstream.fetches.length < 2) await new Promise((resolve) => setImmediate(resolve));
  world.nowMs += 2_000;
  await world.mirror.refs('branches', { arrivedAtMs: world.nowMs, asker: asker('secret') });
  for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
  leaving.abort();
  expect(await left).toMatchObject({ code: 'aborted' });
  gate.resolve();
  await world.idle();
  expect(await isHere(world.mirror, next)).toBe(true);
  expect(world.upstream.fetches).toHaveLength(2);
});
