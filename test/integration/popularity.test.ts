/** What real clients do, as the built server counts it: each clone once, nothing else ever. */
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openFsStorage } from '../../src/storage/drivers/fs.ts';
import { createKv } from '../../src/storage/kv/driver-kv.ts';
import { git, gitSync, temporaryFolder, tryGit } from '../support/git.ts';
import { Hotpack } from '../support/hotpack.ts';
import { body, DELIMITER, FLUSH } from '../support/pkt-lines.ts';
import { postUploadPack, send } from '../support/raw-client.ts';
import { olderRichRepository, revision, richRepository } from '../support/repositories.ts';
import { fillMirror, openHouse, type House } from './house.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const V2_HEAD = ['command=fetch', 'agent=raw/1', 'object-format=sha1', DELIMITER, 'ofs-delta', 'no-progress'];

interface Act {
  readonly house: House;
  readonly url: string;
  /** Bare, with everything that upstream has. */
  readonly origin: string;
  readonly folder: string;
  readonly protocol: 0 | 1 | 2;
}

interface Row {
  readonly name: string;
  readonly clones: number;
  readonly play: (act: Act) => Promise<unknown>;
}

const clone = ({ url, folder, protocol }: Act, ...options: string[]): Promise<string> =>
  git(['clone', '-q', ...options, url, join(folder, 'clone')], { protocol });

const ROWS: readonly Row[] = [
  { name: 'a full clone', clones: 1, play: (act) => clone(act) },
  { name: 'one branch', clones: 1, play: (act) => clone(act, '--single-branch', '--branch', 'release/1.x') },
  { name: 'a shallow clone', clones: 1, play: (act) => clone(act, '--depth=1') },
  { name: 'a clone since a date', clones: 1, play: (act) => clone(act, '--shallow-since=2001-01-01') },
  { name: 'a blobless clone and its checkout', clones: 1, play: (act) => clone(act, '--filter=blob:none') },
  {
    name: 'blobs fetched when they are looked at',
    clones: 1,
    play: async (act) => {
      await clone(act, '--filter=blob:none', '--no-checkout');
      const cwd = join(act.folder, 'clone');
      for (const path of ['README.md', 'src/part-0/file-0.ts'])
        await git(['cat-file', 'blob', `HEAD:${path}`], { cwd });
    },
  },
  {
    name: "one commit by its hash, as CI's checkout asks for it",
    clones: 1,
    play: async ({ url, origin, folder, protocol }) => {
      await git(['init', '-q', folder]);
      const commit = revision(origin, 'main');
      await git(['fetch', '-q', '--depth=1', '--no-tags', url, commit], { cwd: folder, protocol });
    },
  },
  {
    name: 'a fetch of what is new',
    clones: 0,
    play: async ({ url, folder, protocol }) => {
      const cwd = join(folder, 'old');
      gitSync(['clone', '-q', olderRichRepository(), cwd]);
      await git(['fetch', '-q', url, 'main'], { cwd, protocol });
    },
  },
  { name: 'the refs alone', clones: 0, play: ({ url, protocol }) => git(['ls-remote', url], { protocol }) },
];

let house: House;
let repositories = 0;
beforeAll(async () => {
  house = await openHouse({ warm: richRepository() }, { HOTPACK_KV_FLUSH_INTERVAL: '250ms' });
  await fillMirror(house, 'up/warm');
});
afterAll(() => house.close());

/** Clones of one repository as `top` knows them. */
async function clonesOf(name: string): Promise<number> {
  const answer = await send(`${house.hotpack.url}/api/v1/repos/top?limit=1000`);
  const { repos } = JSON.parse(answer.body.toString('utf8')) as { repos: { repo: string; clones: number }[] };
  return repos.find(({ repo }) => repo === name)?.clones ?? 0;
}

/** How many clones `play` was, as the metric and as `top` say; both must agree. */
async function counted(name: string, play: () => Promise<unknown>): Promise<number> {
  const before = [await house.hotpack.metric('hotpack_clones_total'), await clonesOf(name)] as const;
  await play();
  const metric = (await house.hotpack.metric('hotpack_clones_total')) - before[0];
  expect((await clonesOf(name)) - before[1]).toBe(metric);
  return metric;
}

function newRepository(): string {
  const name = `up/cold-${repositories++}`;
  house.upstream.add(name, richRepository());
  return name;
}

describe.each([0, 1, 2] as const)('protocol %d', (protocol) => {
  describe.each(['cold', 'warm'])('%s', (state) => {
    test.each(ROWS)('$name is counted $clones times', async ({ clones, play }) => {
      const name = state === 'cold' ? newRepository() : 'up/warm';
      const url = house.hotpack.repository(name);
      const folder = temporaryFolder('popularity');
      expect(await counted(name, () => play({ house, url, origin: richRepository(), folder, protocol }))).toBe(clones);
    });
  });
});

test('a gzipped body counts as a plain one', async () => {
  const url = house.hotpack.repository('up/warm');
  const wants = body([...V2_HEAD, `want ${revision(richRepository(), 'main')}`, 'done', FLUSH]);
  const headers = { 'content-encoding': 'gzip' };
  expect(await counted('up/warm', () => postUploadPack(url, 2, gzipSync(wants), { headers }))).toBe(1);
});

test('a chunked body, and the probe before it, count once', async () => {
  const url = `${house.hotpack.repository('up/warm')}/git-upload-pack`;
  const wants = body([...V2_HEAD, `want ${revision(richRepository(), 'main')}`, 'done', FLUSH]);
  const headers = { 'content-type': 'application/x-git-upload-pack-request', 'git-protocol': 'version=2' };
  const chunks = (): ReadableStream<Uint8Array> =>
    new ReadableStream({
      start(controller) {
        for (let at = 0; at < wants.length; at += 40) controller.enqueue(wants.subarray(at, at + 40));
        controller.close();
      },
    });
  const play = async (): Promise<void> => {
    await (await fetch(url, { method: 'POST', headers, body: '0000' })).arrayBuffer();
    const sent = await fetch(url, { method: 'POST', headers, body: chunks(), duplex: 'half' } as RequestInit);
    expect(sent.status).toBe(200);
    await sent.arrayBuffer();
  };
  expect(await counted('up/warm', play)).toBe(1);
});

test('1,500 wants before one have are no clone', async () => {
  const origin = richRepository();
  const every = gitSync(['rev-list', '--objects', '--all'], { cwd: origin }).split('\n');
  const oids = every.map((line) => line.slice(0, 40)).filter((oid) => oid !== '');
  const wants = Array.from({ length: 1_500 }, (_, n) => `want ${oids[n % oids.length]}`);
  const request = body([...V2_HEAD, ...wants, `have ${revision(origin, 'main~3')}`, 'done', FLUSH]);
  const url = house.hotpack.repository('up/warm');
  expect(await counted('up/warm', () => postUploadPack(url, 2, request))).toBe(0);
});

test('what access refuses, what does not exist and what upstream refuses leave no trace', async () => {
  const { hotpack, upstream } = house;
  const closed = newRepository();
  upstream.when({ repository: closed }, { do: 'status', status: 401, headers: { 'www-authenticate': 'Basic' } });
  upstream.when({ repository: 'up/none' }, { do: 'status', status: 404 });
  for (const name of [closed, 'up/none']) {
    const play = (): Promise<unknown> => tryGit(['clone', '-q', hotpack.repository(name), temporaryFolder('no')]);
    // oxlint-disable-next-line no-await-in-loop -- the metric is shared
    expect(await counted(name, play)).toBe(0);
  }
  upstream.clearRules();
  const cold = newRepository();
  const wants = body([...V2_HEAD, `want ${'12'.repeat(20)}`, 'done', FLUSH]);
  expect(await counted(cold, () => postUploadPack(hotpack.repository(cold), 2, wants))).toBe(0);
});

test('`hotpack top` shows them, a restart keeps them, and a forwarded question is refused', async () => {
  const { hotpack } = house;
  const before = await clonesOf('up/warm');
  expect(before).toBeGreaterThan(10);
  await hotpack.restart();
  expect(await clonesOf('up/warm')).toBe(before);
  const printed = await command(['top', '--json', '--days', '1', '--limit', '1'], { HOTPACK_SERVER: hotpack.url });
  expect(printed.code).toBe(0);
  expect(JSON.parse(printed.stdout)).toMatchObject({ days: 1, repos: [{ repo: 'up/warm', clones: before }] });
  const forwarded = await send(`${hotpack.url}/api/v1/repos/top`, { headers: { 'x-forwarded-for': '127.0.0.1' } });
  expect(forwarded.status).toBe(403);
});

test('counts go from one folder to another without a server, and every way to be wrong has its exit code', async () => {
  const [from, to] = [`fs:${temporaryFolder('kv')}`, `fs:${temporaryFolder('kv')}`];
  const today = new Date().toISOString().slice(0, 10);
  const lines = ['up/a', 'up/b'].map((repo, n) => `${JSON.stringify({ repo, day: today, clones: n + 1 })}\n`).join('');
  const file = join(temporaryFolder('counts'), 'counts.ndjson');
  writeFileSync(file, lines);
  expect(await command(['counts', 'import', file, '--json'], { HOTPACK_KV: from })).toEqual({
    code: 0,
    stdout: '{"lines":2,"clones":3,"skipped":0}\n',
  });
  expect(await command(['counts', 'export'], { HOTPACK_KV: from })).toEqual({ code: 0, stdout: lines });
  writeFileSync(file, `${lines}{"repo":"up/a"}\n`);
  expect((await command(['counts', 'import', file], { HOTPACK_KV: to })).code).toBe(1);
  expect(await command(['counts', 'export'], { HOTPACK_KV: to })).toEqual({ code: 0, stdout: '' });
  for (const wrong of [
    [],
    ['nothing'],
    ['counts'],
    ['counts', 'import'],
    ['top', '--days', '91'],
    ['top', '--sort'],
    ['top', 'x'],
  ]) {
    expect([wrong, (await command(wrong, { HOTPACK_KV: to })).code]).toEqual([wrong, 2]);
  }
  expect((await command(['counts', 'export'], { HOTPACK_KV: 'memory:' })).code).toBe(2);
  expect((await command(['counts', 'export'], { HOTPACK_KV: 'nothing:' })).code).toBe(2);
  expect((await command(['top'], { HOTPACK_SERVER: 'http://127.0.0.1:1' })).code).toBe(1);
});

test('with an admin token the API asks for it, and `hotpack top` brings it', async () => {
  const guarded = await openHouse({}, { HOTPACK_ADMIN_TOKEN: 'a-token-for-tests' });
  const { url } = guarded.hotpack;
  expect((await send(`${url}/api/v1/repos/top`)).status).toBe(401);
  expect((await command(['top'], { HOTPACK_SERVER: url })).code).toBe(1);
  expect((await command(['top'], { HOTPACK_SERVER: url, HOTPACK_ADMIN_TOKEN: 'a-token-for-tests' })).code).toBe(0);
  await guarded.close();
});

test('once a day one of those who share a store tidies it, and says what was no count', async () => {
  const folder = temporaryFolder('tidy');
  const storage = await openFsStorage({ folder });
  const kv = createKv(storage, { base: 'kv', ownsDriver: false });
  const daysAgo = (days: number): string => new Date(Date.now() - days * 86_400_000).toISOString().slice(0, 10);
  const counts = '{"v":1,"repos":{"up/a":{"clones":2}}}';
  const keyOf = (days: number): string => `counts:clones:${daysAgo(days)}:i00000001:0-0`;
  for (const key of [keyOf(92), keyOf(89), keyOf(5), keyOf(1), 'counts:odd:key']) await kv.set(key, counts);
  const lastRun = new TextEncoder().encode(JSON.stringify({ startedAtMs: Date.now() - 2 * 86_400_000 }));
  await storage.replaceDocument('jobs/periodic/tidy-counts', lastRun, 'absent');
  const both = [0, 1].map(() => new Hotpack({ upstreams: { up: 'http://127.0.0.1:1' }, folder }));
  await Promise.all(both.map((one) => one.start()));
  const recordOf = (days: number): string => `counts:clones:${daysAgo(days)}:record:`;
  const expected = [keyOf(1), keyOf(5), keyOf(89), recordOf(5), recordOf(89)];
  await expect
    .poll(async () => {
      const keys: string[] = [];
      for await (const key of kv.list('')) keys.push(key.replace(/[0-9a-f]{40}$/, ''));
      return keys.toSorted();
    })
    .toEqual(expected.toSorted());
  const odd = both.flatMap((one) => one.log.filter((line) => line.event === 'counts_odd'));
  expect(odd).toMatchObject([{ level: 'warn', what: 'malformed_key', key: 'counts:odd:key' }]);
  for (const one of both) await one.stop();
  await storage.close();
});

test('a store that cannot be reached changes nothing for clients', async () => {
  const dark = await openHouse({ rich: richRepository() }, { HOTPACK_KV: 'redis://127.0.0.1:1' });
  const { hotpack } = dark;
  await git(['clone', '-q', '--depth=1', hotpack.repository('up/rich'), join(temporaryFolder('dark'), 'clone')]);
  expect(await hotpack.metric('hotpack_clones_total')).toBe(1);
  expect((await send(`${hotpack.url}/_readiness`)).status).toBe(200);
  const top = await send(`${hotpack.url}/api/v1/repos/top`);
  expect([top.status, top.body.toString('utf8')]).toEqual([503, expect.stringContaining('"storage_unavailable"')]);
  await dark.close();
});

function command(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<{ code: number; stdout: string }> {
  const node = join(ROOT, 'node_modules', 'node', 'bin', 'node');
  return new Promise((resolve) => {
    execFile(node, [join(ROOT, 'dist', 'cli.js'), ...args], { env }, (error, stdout) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), stdout });
    });
  });
}
