/** Several servers on Node over one bucket: what one has filled any of them serves, whatever becomes of it. */
import { readdirSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Fleet, logged } from '../support/fleet.ts';
import { temporaryFolder } from '../support/git.ts';
import { commitUpstream, richRepository } from '../support/repositories.ts';

let fleet: Fleet;
beforeEach(async () => {
  fleet = await Fleet.open(richRepository());
});
afterEach(() => fleet.close());

test('what one filled is served after a restart and by another, without a fetch from upstream', async () => {
  const first = await fleet.startServer();
  await fleet.clone(first);
  await fleet.until('the fill', () => fleet.isFilled);
  await fleet.until('the refs', () => fleet.keysWith('/packed-refs').length > 0);
  await fleet.fsckAtRest();
  expect(fleet.fetches).toBe(1);
  fleet.upstream.forbidFetch(fleet.name);
  await fleet.clone(first, ['--depth=1']);
  await first.restart();
  await fleet.clone(first);
  const blocks = temporaryFolder('blocks');
  const second = await fleet.startServer({ HOTPACK_BLOCK_CACHE: `fs:${blocks}` });
  await fleet.clone(second);
  await fleet.clone(second, ['--filter=blob:none', '--no-checkout']);
  expect(await second.metric('hotpack_requests_total', { source: 'mirror' })).toBeGreaterThan(0);
  const { store, credentials } = fleet.s3;
  expect([...store.objects.keys()].every((key) => key.startsWith('cache/of-ci/'))).toBe(true);
  for (const hotpack of [first, second]) {
    expect(hotpack.stderr).not.toContain(credentials.secretAccessKey);
    expect(hotpack.stderr).not.toContain(credentials.accessKeyId);
  }
  expect(readdirSync(blocks).length).toBeGreaterThan(0);
  // Stored answers may still be on their way.
  await Promise.all([first.stop(), second.stop()]);
  expect(fleet.keysWith('/tmp/')).toEqual([]);
  expect(store.uploads.size).toBe(0);
});

test('what one fetches others serve, though their mirror is open and upstream gives them nothing', async () => {
  const [a, b] = [await fleet.startServer(), await fleet.startServer()];
  await fleet.clone(a);
  await fleet.until('the fill', () => fleet.isFilled);
  await fleet.clone(b, ['--depth=1']);
  const folder = fleet.upstream.folder(fleet.name);
  // Both publish at once, each what the other one has not.
  const tips = [
    commitUpstream(folder, 'first', 'refs/heads/main'),
    commitUpstream(folder, 'second', 'refs/heads/main'),
  ];
  const [one, two] = tips as [string, string];
  expect(await Promise.all([fleet.fetchCommit(a, one), fleet.fetchCommit(b, two)])).toEqual(tips);
  const before = fleet.fetches;
  fleet.upstream.forbidFetch(fleet.name);
  expect(await Promise.all([fleet.fetchCommit(a, two), fleet.fetchCommit(b, one)])).toEqual([two, one]);
  await fleet.clone(b);
  expect(fleet.fetches).toBe(before);
  await fleet.fsckAtRest();
});

test('of two that are asked at once one fills, through a bucket that is slow and refuses for a while', async () => {
  const [a, b] = [await fleet.startServer(), await fleet.startServer()];
  const { s3 } = fleet;
  s3.delayMs = 30;
  let refused = 0;
  // The first pack waits until the other one was seen to leave it to whoever is at it; meanwhile nothing else works for long either.
  s3.fault = ({ name, key }) => {
    const waits = logged(a, 'fill_elsewhere') + logged(b, 'fill_elsewhere') === 0;
    if (name === 'PutObject' && key.endsWith('.pack')) return waits ? 'unavailable' : undefined;
    return refused++ % 4 === 0 ? 'unavailable' : undefined;
  };
  await Promise.all([fleet.clone(a), fleet.clone(b)]);
  await fleet.until('the fill', () => fleet.isFilled);
  expect(logged(a, 'fill_started') + logged(b, 'fill_started')).toBe(1);
  fleet.upstream.forbidFetch(fleet.name);
  await Promise.all([fleet.clone(a), fleet.clone(b, ['--depth=1'])]);
  await fleet.until('the refs', () => fleet.keysWith('/packed-refs').length > 0);
  await fleet.fsckAtRest();
});
