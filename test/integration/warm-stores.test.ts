/** Warming over stores that are shared, down, hanging, or take nothing: the pass says so, and clients notice none of it. */
import { createServer, connect, type Server, type Socket } from 'node:net';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { assertSound } from '../support/clones.ts';
import { git, temporaryFolder } from '../support/git.ts';
import type { Hotpack } from '../support/hotpack.ts';
import { startRedis, withoutRedis, type Redis } from '../support/redis.ts';
import { askApi, endOfPass, importCounts, openWarmHouse, runCommand, statuses, type WarmHouse } from './warming.ts';

let house: WarmHouse;
const cleanUp: (() => void)[] = [];
afterEach(async () => {
  await house.close();
  for (const end of cleanUp.splice(0)) end();
});

async function clone(hotpack: Hotpack, repo: string): Promise<void> {
  const folder = join(temporaryFolder('clone'), 'clone');
  await git(['clone', '-q', hotpack.repository(repo), folder]);
  await assertSound(folder);
}

const readiness = async (hotpack: Hotpack): Promise<number> => (await fetch(`${hotpack.url}/_readiness`)).status;

test('with N above the number of repositories all of them are warmed', async () => {
  house = await openWarmHouse(['a', 'b', 'c']);
  const hotpack = house.server({ HOTPACK_PREWARM_MOST_CLONED_REPOS: '100000' });
  const counts = ['a', 'b', 'c'].map((name) => ({ repo: `up/${name}`, daysAgo: 1, clones: 1 }));
  await importCounts({ HOTPACK_STORAGE: `fs:${hotpack.folder}` }, counts);
  await hotpack.start();
  const pass = await endOfPass(hotpack);
  expect(pass.outcome).toBe('complete');
  expect(statuses(pass)).toEqual({ 'up/a': 'clone ok', 'up/b': 'clone ok', 'up/c': 'clone ok' });
});

test('without a key-value store the pass fails, and what was warm before is served and known as such', async () => {
  house = await openWarmHouse(['warm', 'cold']);
  const first = house.server();
  await importCounts({ HOTPACK_STORAGE: `fs:${first.folder}` }, [{ repo: 'up/warm', daysAgo: 1, clones: 3 }]);
  await first.start();
  expect(statuses(await endOfPass(first))).toEqual({ 'up/warm': 'clone ok' });
  await first.stop();
  const second = house.server({ HOTPACK_KV: 'redis://127.0.0.1:1' }, first.folder);
  await second.start();
  expect(await endOfPass(second)).toMatchObject({ running: false, outcome: 'failed', repos: [] });
  const ends = second.log.filter((line) => line.event === 'prewarm.end');
  expect(ends).toMatchObject([{ level: 'warn', outcome: 'failed', error: { message: 'kv list failed' } }]);
  expect(await second.metric('hotpack_prewarm_passes_total', { outcome: 'failed' })).toBe(1);
  expect(await readiness(second)).toBe(200);
  const forbidden = house.upstream.forbidFetch('up/warm');
  await clone(second, 'up/warm');
  await clone(second, 'up/cold');
  expect(forbidden.hits).toEqual([]);
  expect(await second.metric('hotpack_warmed_requests_total', { source: 'mirror' })).toBe(1);
  expect(await second.metric('hotpack_warmed_requests_total')).toBe(1);
});

test('a folder that takes no mirrors fails each repository, and keeps nobody from being served', async () => {
  house = await openWarmHouse(['a', 'b']);
  const hotpack = house.server();
  const counts = ['a', 'b'].map((name) => ({ repo: `up/${name}`, daysAgo: 1, clones: 1 }));
  await importCounts({ HOTPACK_STORAGE: `fs:${hotpack.folder}` }, counts);
  // Root may write anywhere, but not below a file.
  writeFileSync(join(hotpack.folder, 'mirrors'), '');
  await hotpack.start();
  const pass = await endOfPass(hotpack);
  expect(pass.outcome).toBe('complete');
  expect(statuses(pass)).toEqual({ 'up/a': 'clone error', 'up/b': 'clone error' });
  expect(new Set(pass.repos.map((one) => one.error))).toEqual(new Set(['a key that is the beginning of another one']));
  await clone(hotpack, 'up/a');
  expect(await readiness(hotpack)).toBe(200);
  expect(await hotpack.stop()).toBe(0);
});

test('where nothing can be claimed nothing is warmed, and everybody is served', async () => {
  house = await openWarmHouse(['a']);
  const hotpack = house.server();
  await importCounts({ HOTPACK_STORAGE: `fs:${hotpack.folder}` }, [{ repo: 'up/a', daysAgo: 1, clones: 1 }]);
  writeFileSync(join(hotpack.folder, 'jobs'), '');
  await hotpack.start();
  expect(statuses(await endOfPass(hotpack))).toEqual({ 'up/a': 'clone error' });
  await clone(hotpack, 'up/a');
  expect(await hotpack.stop()).toBe(0);
});

describe.skipIf(withoutRedis !== '')(`Redis${withoutRedis}`, () => {
  let redis: Redis;
  const openRedis = async (): Promise<string> => {
    redis = await startRedis();
    cleanUp.push(redis.stop);
    return `redis://127.0.0.1:${redis.port}`;
  };

  test('four instances that start at once over one folder and one Redis fill each repository once', async () => {
    const names = Array.from({ length: 8 }, (_, i) => `s${i}`);
    house = await openWarmHouse(names);
    const env = { HOTPACK_KV: await openRedis() };
    await importCounts(
      env,
      names.map((name, i) => ({ repo: `up/${name}`, daysAgo: i, clones: 1 + i })),
    );
    const first = house.server(env);
    const all = [first, ...[1, 2, 3].map(() => house.server(env, first.folder))];
    await Promise.all(all.map((one) => one.start()));
    const passes = await Promise.all(all.map((one) => endOfPass(one)));
    for (const name of names) {
      expect(house.upstream.journal.select({ repository: `up/${name}`, kind: 'fetch' })).toHaveLength(1);
      const said = passes.map((pass) => statuses(pass)[`up/${name}`]);
      expect(said.filter((one) => one === 'clone ok')).toHaveLength(1);
      expect(said.filter((one) => one === 'restore skipped')).toHaveLength(3);
    }
    const forbidden = house.upstream.forbidFetch();
    await Promise.all(all.map((one) => clone(one, 'up/s3')));
    expect(forbidden.hits).toEqual([]);
  });

  test('a key-value store that hangs holds up nobody; counts wait for it, and are there when it answers', async () => {
    house = await openWarmHouse(['a', 'b']);
    const url = await openRedis();
    await importCounts({ HOTPACK_KV: url }, [{ repo: 'up/b', daysAgo: 1, clones: 5 }]);
    const gate = await openGate(redis.port);
    const hotpack = house.server({
      HOTPACK_KV: `redis://127.0.0.1:${gate.port}`,
      HOTPACK_KV_FLUSH_INTERVAL: '250ms',
    });
    await hotpack.start();
    expect(await readiness(hotpack)).toBe(200);
    await clone(hotpack, 'up/a');
    await clone(hotpack, 'up/a');
    expect(await askApi(hotpack, 'prewarm')).toMatchObject({ running: true, repos: [] });
    expect(await endOfPass(hotpack)).toMatchObject({ running: false, outcome: 'failed' });
    await clone(hotpack, 'up/a');
    expect(await readiness(hotpack)).toBe(200);
    expect(await hotpack.metric('hotpack_clones_total')).toBe(3);
    const exported = async (): Promise<string> => (await runCommand(['counts', 'export'], { HOTPACK_KV: url })).text;
    expect(await exported()).not.toContain('up/a');
    gate.open();
    await expect.poll(exported, { timeout: 15_000 }).toMatch(/"repo":"up\/a","day":"[-\d]+","clones":3\}/);
    expect(await hotpack.stop()).toBe(0);
  });

  test('a stop does not wait for a key-value store that hangs', async () => {
    house = await openWarmHouse(['a']);
    await openRedis();
    const gate = await openGate(redis.port);
    const hotpack = house.server({ HOTPACK_KV: `redis://127.0.0.1:${gate.port}`, HOTPACK_SHUTDOWN_TIMEOUT: '2s' });
    await hotpack.start();
    await clone(hotpack, 'up/a');
    const stoppedAtMs = Date.now();
    expect(await hotpack.stop()).toBe(0);
    expect(Date.now() - stoppedAtMs).toBeLessThan(5_000);
  });
});

interface Gate {
  readonly port: number;
  readonly open: () => void;
}

/** Takes connections and what is sent over them, and passes nothing on until it is opened. */
async function openGate(toPort: number): Promise<Gate> {
  const waiting: Socket[] = [];
  const sockets = new Set<Socket>();
  let isOpen = false;
  const pass = (socket: Socket): void => {
    const beyond = connect(toPort, '127.0.0.1');
    sockets.add(beyond);
    for (const [from, to] of [
      [socket, beyond],
      [beyond, socket],
    ] as const) {
      from.on('error', () => to.destroy());
      from.pipe(to);
    }
  };
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    if (isOpen) pass(socket);
    else waiting.push(socket);
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  cleanUp.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    open() {
      isOpen = true;
      for (const socket of waiting.splice(0)) if (!socket.destroyed) pass(socket);
    },
  };
}
