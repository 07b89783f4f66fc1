/** The warm pass of the built server, as somebody who runs it would see it. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { git, temporaryFolder } from '../support/git.ts';
import type { Hotpack } from '../support/hotpack.ts';
import { assertSound } from '../support/clones.ts';
import { commitUpstream } from '../support/repositories.ts';
import type { Upstream } from '../support/upstream.ts';
import { fillMirror } from './house.ts';
import {
  askApi,
  endOfPass,
  importCounts,
  openWarmHouse,
  runCommand,
  statuses,
  type Pass,
  type WarmHouse,
} from './warming.ts';

interface Listed {
  readonly repos: readonly { readonly repo: string; readonly state: string; readonly clones14d: number }[];
}

let house: WarmHouse;
let upstream: Upstream;
afterEach(() => house.close());

async function openUpstream(names: readonly string[]): Promise<void> {
  house = await openWarmHouse(names);
  upstream = house.upstream;
}

const storedIn = (hotpack: Hotpack): Record<string, string> => ({ HOTPACK_STORAGE: `fs:${hotpack.folder}` });

test('the ten most cloned of the last 14 days are ready before anybody asks, and nobody waits for that', async () => {
  const names = Array.from({ length: 30 }, (_, i) => `r${String(i + 1).padStart(2, '0')}`);
  await openUpstream([...names, 'extra']);
  const before = house.server({ HOTPACK_PREWARM_MOST_CLONED_REPOS: '0' });
  await before.start();
  await runCommand(['warm', 'up/r01', 'up/r20'], { HOTPACK_SERVER: before.url });
  await before.stop();
  const hotpack = house.server({}, before.folder);
  await importCounts(storedIn(hotpack), [
    // Were the fifteenth day counted, these two would be first.
    { repo: 'up/r12', daysAgo: 14, clones: 1_000 },
    { repo: 'up/r13', daysAgo: 19, clones: 500 },
    // Two tie for the tenth place: the name decides.
    { repo: 'up/r11', daysAgo: 13, clones: 20 },
    { repo: 'up/r10', daysAgo: 13, clones: 20 },
    // Only today.
    { repo: 'up/r09', daysAgo: 0, clones: 30 },
    ...names.slice(0, 8).map((name, i) => ({ repo: `up/${name}`, daysAgo: i, clones: 100 + i })),
    ...names.slice(13).map((name, i) => ({ repo: `up/${name}`, daysAgo: i, clones: 3 })),
  ]);
  for (const folder of ['mirrors', 'answers']) rmSync(join(hotpack.folder, folder), { recursive: true, force: true });
  const since = upstream.journal.mark();
  const held = upstream.when({ test: (entry) => entry.repository !== 'up/extra' }, { do: 'hold', stage: 'request' });
  const heldExtra = upstream.when({ repository: 'up/extra' }, { do: 'hold', stage: 'request' });
  await hotpack.start();
  await held.arrived(2);
  expect((await fetch(`${hotpack.url}/_readiness`)).status).toBe(200);
  const clone = join(temporaryFolder('eleventh'), 'clone');
  const cloning = git(['clone', '-q', hotpack.repository('up/extra'), clone]);
  await heldExtra.arrived();
  heldExtra.release();
  await cloning;
  await assertSound(clone);
  expect((await fetch(`${hotpack.url}/_readiness`)).status).toBe(200);
  expect(await askApi<Pass>(hotpack, 'prewarm')).toMatchObject({ running: true, outcome: null, repos: [] });
  held.release();

  const ten = names.slice(0, 10).map((name) => `up/${name}`);
  const pass = await endOfPass(hotpack);
  expect(pass).toMatchObject({ running: false, outcome: 'complete' });
  expect(statuses(pass)).toEqual(Object.fromEntries(ten.map((repo) => [repo, 'clone ok'])));
  const asked = new Set(upstream.journal.select({ since }).map((entry) => entry.repository));
  expect([...asked].toSorted()).toEqual(['up/extra', ...ten]);
  const { repos } = await askApi<Listed>(hotpack, 'repos');
  const ready = repos.filter((one) => one.state === 'ready').map((one) => one.repo);
  expect(ready.filter((repo) => repo !== 'up/extra')).toEqual(ten);
  // Of the other twenty, those that were counted within the window.
  expect(repos.filter((one) => one.state === 'absent').map((one) => one.repo)).toEqual(
    ['r11', ...names.slice(13, 27)].map((name) => `up/${name}`),
  );
  expect(repos.find((one) => one.repo === 'up/r08')?.clones14d).toBe(107);

  const forbidden = upstream.forbidFetch();
  for (const [i, repo] of ten.entries()) {
    const folder = join(temporaryFolder(`warm-${i}`), 'clone');
    await git(['clone', '-q', hotpack.repository(repo), folder]);
    await hotpack.fsck(repo);
  }
  expect(forbidden.hits).toEqual([]);
  expect(await hotpack.metric('hotpack_warmed_requests_total', { source: 'mirror' })).toBe(10);
  expect(await hotpack.metric('hotpack_prewarm_passes_total', { outcome: 'complete' })).toBe(1);
  const durations = 'hotpack_prewarm_repo_duration_seconds_count';
  expect(await hotpack.metric(durations, { path: 'clone', status: 'ok' })).toBe(10);
  // Warming counts nothing.
  expect(await hotpack.metric('hotpack_clones_total')).toBe(11);
});

test('an upstream that trickles, one that is gone and one that breaks off stop none of the others', async () => {
  const names = ['trickles', 'gone', 'breaks', 'private', 'old', 'same', 'fine', 'also'];
  await openUpstream(names);
  const first = house.server({ HOTPACK_PREWARM_MOST_CLONED_REPOS: '0' });
  await first.start();
  for (const name of ['trickles', 'old', 'same']) await fillMirror({ upstream, hotpack: first }, `up/${name}`);
  expect(await askApi<Pass>(first, 'prewarm')).toMatchObject({ running: false, outcome: null });
  await first.stop();
  await importCounts(
    storedIn(first),
    [...names.map((name) => `up/${name}`), 'dead/refused'].map((repo, i) => ({ repo, daysAgo: 0, clones: 100 - i })),
  );
  for (const name of ['trickles', 'old']) commitUpstream(upstream.folder(`up/${name}`));
  upstream.when({ repository: 'up/trickles', kind: 'fetch' }, { do: 'trickle', bytes: 1, everyMs: 100 });
  upstream.when({ repository: 'up/gone' }, { do: 'status', status: 404 });
  upstream.when({ repository: 'up/breaks', kind: 'fetch' }, { do: 'cut', afterBytes: 0 });
  upstream.protect('up/private', 'Basic bm9ib2R5Om5vdGhpbmc=');
  const since = upstream.journal.mark();
  const second = house.server(
    { HOTPACK_FETCH_TIMEOUT: '2s', HOTPACK_PREWARM_INTERVAL: '0', HOTPACK_PREWARM_CONCURRENCY: '1' },
    first.folder,
  );
  await second.start();
  const pass = await endOfPass(second);
  expect(statuses(pass)).toEqual({
    'up/trickles': 'fetch timeout',
    'up/old': 'fetch ok',
    'up/same': 'fetch ok',
    'up/gone': 'clone gone',
    'up/breaks': 'clone error',
    'dead/refused': 'clone error',
    'up/private': 'clone no_access',
    'up/fine': 'clone ok',
    'up/also': 'clone ok',
  });
  const ms = pass.repos.find((one) => one.repo === 'up/trickles')?.ms ?? 0;
  expect(ms).toBeGreaterThanOrEqual(1_900);
  expect(ms).toBeLessThan(6_000);
  // Asked for its refs once, and for no objects where nothing has changed.
  expect(upstream.journal.select({ repository: 'up/same', kind: 'ls-refs', since })).toHaveLength(1);
  expect(upstream.journal.select({ repository: 'up/same', kind: 'fetch', since })).toHaveLength(0);
  expect(upstream.journal.select({ repository: 'up/old', kind: 'fetch', since })).toHaveLength(1);
  const warnings = second.log.filter((line) => line.event === 'prewarm.repo' && line.level === 'warn');
  expect(warnings.map((line) => String(line['repo'])).toSorted()).toEqual([
    'dead/refused',
    'up/breaks',
    'up/gone',
    'up/private',
    'up/trickles',
  ]);
  expect(second.log.filter((line) => line.event === 'prewarm.end')).toMatchObject([{ warmed: 4, failed: 5 }]);

  // What is gone is not asked for again, what failed otherwise is.
  await second.stop();
  upstream.clearRules();
  const again = upstream.journal.mark();
  const third = house.server({}, first.folder);
  await third.start();
  const next = statuses(await endOfPass(third));
  expect(next).toMatchObject({ 'up/trickles': 'fetch ok', 'up/breaks': 'clone ok', 'up/private': 'clone no_access' });
  expect(next['up/gone']).toBeUndefined();
  expect(upstream.journal.select({ repository: 'up/gone', since: again })).toEqual([]);
  // Somebody is answered about it: it is a candidate again.
  await git(['ls-remote', third.repository('up/gone')]);
  await third.stop();
  const fourth = house.server({}, first.folder);
  await fourth.start();
  expect(statuses(await endOfPass(fourth))['up/gone']).toMatch(/ ok$/);
});

test('nothing counted is one line, and a stop in mid-pass is no wait', async () => {
  await openUpstream(['slow']);
  const empty = house.server({ HOTPACK_PREWARM_INTERVAL: '0' });
  await empty.start();
  expect(await endOfPass(empty)).toMatchObject({ outcome: 'empty_histogram', repos: [] });
  expect(empty.log.filter((line) => line.event.startsWith('prewarm'))).toMatchObject([
    { level: 'info', event: 'prewarm.end', outcome: 'empty_histogram', warmed: 0, failed: 0 },
  ]);
  await empty.stop();
  await importCounts(storedIn(empty), [{ repo: 'up/slow', daysAgo: 1, clones: 7 }]);
  const stalled = upstream.when({ kind: 'fetch' }, { do: 'stall', afterBytes: 1_000 });
  const second = house.server({ HOTPACK_SHUTDOWN_TIMEOUT: '14s' }, empty.folder);
  await second.start();
  await stalled.arrived();
  const stoppedAtMs = Date.now();
  expect(await second.stop()).toBe(0);
  expect(Date.now() - stoppedAtMs).toBeLessThan(5_000);
  expect(second.log.find((line) => line.event === 'prewarm.end')).toMatchObject({ outcome: 'aborted' });
  upstream.clearRules();
  // It let go of its claim: the next one need not wait for it to run out.
  const third = house.server({}, empty.folder);
  await third.start();
  expect(statuses(await endOfPass(third))).toEqual({ 'up/slow': 'clone ok' });
});

test('`hotpack warm` fills and updates what it is told, and says what became of it', async () => {
  await openUpstream(['a', 'b']);
  const hotpack = house.server({ HOTPACK_PREWARM_MOST_CLONED_REPOS: '0', HOTPACK_ADMIN_TOKEN: 'the-admin-token' });
  await hotpack.start();
  const env = { HOTPACK_SERVER: hotpack.url, HOTPACK_ADMIN_TOKEN: 'the-admin-token' };
  const both = await runCommand(['warm', 'up/a', hotpack.repository('up/b'), '--json'], env);
  expect(both.code, both.text).toBe(0);
  const lines = both.text.trim().split('\n');
  expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([
    { repo: 'up/a', path: 'clone', status: 'ok' },
    { repo: 'up/b', path: 'clone', status: 'ok' },
  ]);
  await hotpack.fsck('up/a');
  expect((await runCommand(['warm', 'up/a'], env)).text).toMatch(/^up\/a {2}fetch ok \d+ ms\n$/);
  const none = await runCommand(['warm', 'up/none'], env);
  expect(none).toMatchObject({ code: 1 });
  expect(none.text).toMatch(/clone gone/);
  const mixed = await runCommand(['warm', 'elsewhere/x', 'up/b'], env);
  expect(mixed.code).toBe(1);
  expect(mixed.text).toMatch(/^elsewhere\/x {2}error: no upstream elsewhere is configured\nup\/b {2}fetch ok \d+ ms\n/);
  const unauthorized = await runCommand(['warm', 'up/a', 'up/b'], { HOTPACK_SERVER: hotpack.url });
  expect(unauthorized).toMatchObject({ code: 1, text: expect.stringMatching(/^hotpack: .* answered 401: [^\n]*\n$/) });
  expect((await runCommand(['warm'], env)).code).toBe(2);
  expect(await runCommand(['wam'], env)).toEqual({ code: 2, text: 'hotpack: Unknown command wam; --help says more\n' });
  const api = `${hotpack.url}/api/v1/repos/up/a/-/warm`;
  const headers = { authorization: 'Bearer the-admin-token' };
  expect((await fetch(api, { method: 'POST' })).status).toBe(401);
  expect((await fetch(api, { headers })).status).toBe(405);
  const accepted = await fetch(api, { method: 'POST', headers });
  expect(accepted.status).toBe(202);
  expect(await accepted.json()).toEqual({ repo: 'up/a', job: 'warm:up/a' });
});
