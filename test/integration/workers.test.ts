/** The Worker in real workerd: who asks is never kept waiting by others, and what is served next time was filled behind him. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { assertSound, readClone, type CloneState } from '../support/clones.ts';
import { FastImport } from '../support/fast-import.ts';
import { git, gitSync, temporaryFolder } from '../support/git.ts';
import { datedRepository, revision, richRepository } from '../support/repositories.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';
import { fetchRaw, outcomeOf, refsThrough, tipsOf } from './house.ts';
import { startWorkerd, type Workerd, type WorkerdOptions } from '../support/workerd.ts';

let upstream: Upstream;
let workerd: Workerd | undefined;

afterEach(async () => {
  await workerd?.stop();
  workerd = undefined;
  await upstream.stop();
});

async function open(options: Omit<WorkerdOptions, 'upstreams'> = {}): Promise<Workerd> {
  upstream = await startUpstream();
  upstream.add('up/team/rich', richRepository());
  workerd = await startWorkerd({ ...options, upstreams: { up: upstream.base('up') } });
  return workerd;
}

async function clone(url: string, ...args: readonly string[]): Promise<string> {
  const folder = join(temporaryFolder('clone'), 'clone');
  await git(['clone', '-q', ...args, url, folder]);
  await assertSound(folder);
  return folder;
}

let direct: CloneState | undefined;
/** What git itself has of `up/team/rich`, cloned once. */
async function cloneDirectly(): Promise<CloneState> {
  return (direct ??= await readClone(await clone(upstream.url('up/team/rich'))));
}

test('a cold clone passes through, the mirror is filled behind it, and the next ones come out of it', async () => {
  const worker = await open();
  const direct = await cloneDirectly();
  expect(await readClone(await clone(worker.repository('up/team/rich')))).toEqual(direct);
  await worker.waitFor('prewarm.repo');
  const refused = upstream.forbidFetch();
  const clones = await Promise.all(
    ['0', '1', '2', '2'].map((version) =>
      clone(worker.repository('up/team/rich'), '-c', `protocol.version=${version}`),
    ),
  );
  for (const one of clones) expect(await readClone(one)).toEqual(direct);
  expect(refused.hits).toEqual([]);
});

test('with a bucket and a queue the fill happens in the consumer, and another isolate serves it', async () => {
  const worker = await open({ bindings: ['BUCKET', 'KV', 'QUEUE'], isolates: 2 });
  const direct = await cloneDirectly();
  expect(await readClone(await clone(worker.repository('up/team/rich')))).toEqual(direct);
  await worker.waitFor('prewarm.repo');
  const refused = upstream.forbidFetch();
  for (const isolate of [0, 1]) {
    expect(await readClone(await clone(worker.repository('up/team/rich', isolate)))).toEqual(direct);
  }
  const tips = tipsOf(upstream.folder('up/team/rich'), ['refs/heads', 'refs/tags']);
  const answers = await Promise.all(
    Array.from({ length: 60 }, () =>
      fetchRaw(
        { hotpack: worker },
        'up/team/rich',
        tips.map((oid) => `want ${oid}`),
      ),
    ),
  );
  const outcomes = new Set(answers.map((answer) => JSON.stringify(outcomeOf(answer))));
  expect([...outcomes]).toEqual([JSON.stringify({ status: 200, objects: direct.objects.length, error: undefined })]);
  expect(refused.hits).toEqual([]);
});

const ADMIN_TOKEN = 'admin-token-of-workers';

function api(worker: Workerd, path: string, init: RequestInit & { readonly isolate?: number } = {}): Promise<Response> {
  const headers = { authorization: `Bearer ${ADMIN_TOKEN}` };
  return fetch(`${worker.urls[init.isolate ?? 0]}${path}`, { ...init, headers });
}

const COUNTED = { 'up/team/a': 9, 'up/team/b': 8, 'up/team/c': 7, 'up/team/d': 1 };

async function openCounted(): Promise<Workerd> {
  const worker = await open({
    bindings: ['BUCKET', 'KV', 'QUEUE'],
    isolates: 2,
    env: { HOTPACK_PREWARM_MOST_CLONED_REPOS: '3', HOTPACK_ADMIN_TOKEN: ADMIN_TOKEN },
  });
  for (const name of Object.keys(COUNTED)) upstream.add(name, datedRepository());
  await worker.importCounts(COUNTED);
  return worker;
}

/** How often each counted one was fetched; then both isolates serve the three most cloned ones, `refused` with upstream's part in it. */
async function warmth(worker: Workerd): Promise<{ readonly fetched: readonly number[]; readonly refused: number }> {
  const fetched = (name: string): number => upstream.journal.select({ repository: name, kind: 'fetch' }).length;
  const counts = Object.keys(COUNTED).map(fetched);
  const refused = upstream.forbidFetch();
  await Promise.all(['up/team/a', 'up/team/b', 'up/team/c'].map((name, i) => clone(worker.repository(name, i % 2))));
  return { fetched: counts, refused: refused.hits.length };
}

test('the first requests of two isolates warm what is cloned most, once, and wait for none of it', async () => {
  const worker = await openCounted();
  const held = upstream.when(
    { kind: 'fetch', test: ({ repository }) => repository in COUNTED },
    { do: 'hold', stage: 'request' },
  );
  const first = Array.from({ length: 20 }, (_, i) =>
    fetch(`${worker.repository('up/team/rich', i % 2)}/info/refs?service=git-upload-pack`),
  );
  expect((await Promise.all(first)).map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200));
  await clone(worker.repository('up/team/rich'));
  await held.arrived();
  expect(worker.logged('prewarm.repo').filter(({ status }) => status === 'ok')).toEqual([]);
  held.remove();
  await expect
    .poll(() => new Set(worker.logged('prewarm.repo').flatMap(({ repo, status }) => (status === 'ok' ? [repo] : []))), {
      timeout: 20_000,
    })
    .toEqual(new Set(['up/team/a', 'up/team/b', 'up/team/c', 'up/team/rich']));
  expect(await warmth(worker)).toEqual({ fetched: [1, 1, 1, 0], refused: 0 });
});

test('the cron alone warms; every isolate tells of the pass, and counts who was served of it', async () => {
  const worker = await openCounted();
  const report = async (): Promise<unknown> => (await api(worker, '/api/v1/prewarm', { isolate: 1 })).json();
  expect(await report()).toEqual({ running: false, startedAt: null, endedAt: null, outcome: null, repos: [] });
  await worker.cron();
  const warmed = ['a', 'b', 'c'].map((name) => ({
    repo: `up/team/${name}`,
    path: 'clone',
    status: 'ok',
    ms: expect.any(Number),
  }));
  await expect
    .poll(report, { timeout: 20_000 })
    .toMatchObject({ running: false, outcome: 'complete', endedAt: expect.any(String) });
  expect(await report()).toMatchObject({ repos: expect.arrayContaining(warmed) });
  expect(await warmth(worker)).toEqual({ fetched: [1, 1, 1, 0], refused: 0 });
  const metrics = await Promise.all(worker.urls.map(async (url) => (await fetch(`${url}/metrics`)).text()));
  const counts = metrics.map((text) => /^hotpack_warmed_requests_total\{source="mirror"\} (\d+)$/m.exec(text)?.[1]);
  expect(counts).toEqual(['2', '1']);

  // The newest commit was packed before anybody asked, on any isolate, and upstream gives no pack any more.
  await clone(worker.repository('up/team/a', 1), '--depth=1');
  const after = await (await fetch(`${worker.urls[1]}/metrics`)).text();
  expect(after).toMatch(/^hotpack_requests_total\{kind="fetch",source="pack-cache"\} 1$/m);
});

test('what is warmed by hand is taken by the queue and goes on when the asker leaves, or is told to its end', async () => {
  const worker = await open({
    bindings: ['BUCKET', 'KV', 'QUEUE'],
    isolates: 2,
    env: { HOTPACK_ADMIN_TOKEN: ADMIN_TOKEN },
  });
  for (const name of ['up/team/a', 'up/team/b', 'up/team/d']) upstream.add(name, datedRepository());
  const path = (name: string): string => `/api/v1/repos/up/team/${name}/-/warm`;
  const held = upstream.when({ kind: 'fetch' }, { do: 'hold', stage: 'request' });
  const left = await api(worker, path('a'), { method: 'POST' });
  expect([left.status, await left.json()]).toEqual([202, { repo: 'up/team/a', job: 'warm:up/team/a' }]);
  const leaving = new AbortController();
  const first = await api(worker, `${path('d')}?wait=1`, { method: 'POST', signal: leaving.signal });
  await held.arrived();
  leaving.abort();
  await first.text().catch(() => undefined);
  held.remove();
  const told = await (await api(worker, `${path('b')}?wait=1`, { method: 'POST', isolate: 1 })).text();
  expect(
    told
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown),
  ).toEqual([
    { repo: 'up/team/b', waiting: true },
    { repo: 'up/team/b', path: 'clone', status: 'ok', ms: expect.any(Number) },
  ]);
  await expect
    .poll(
      () =>
        worker
          .logged('prewarm.repo')
          .map(({ repo, status }) => `${String(repo)} ${String(status)}`)
          .toSorted(),
      {
        timeout: 20_000,
      },
    )
    .toEqual(['up/team/a ok', 'up/team/b ok', 'up/team/d ok']);
});

/** Where an event of the queue is killed, and how often upstream is then asked for the pack in all. */
const KILLED_AT: readonly { readonly call: string; readonly fills: number }[] = [
  { call: 'BUCKET.put mirrors/…hotpack/incoming', fills: 2 },
  { call: 'BUCKET.get mirrors/…objects/pack/', fills: 1 },
  { call: 'BUCKET.put mirrors/…hotpack/manifest', fills: 1 },
  { call: 'BUCKET.put mirrors/…packed-refs', fills: 1 },
];

test.each(KILLED_AT)('a fill that is killed at $call goes on from what was done', async ({ call, fills }) => {
  const folder = temporaryFolder('killed');
  const name = 'up/team/rich';
  const bindings = ['BUCKET', 'KV', 'QUEUE'] as const;
  const killed = await open({ bindings, folder, observed: { hang: call } });
  const tip = revision(upstream.folder(name), 'main');
  const ask = (worker: Workerd): ReturnType<typeof fetchRaw> =>
    fetchRaw({ hotpack: worker }, name, ['deepen 1', `want ${tip}`]);
  expect(outcomeOf(await ask(killed)).error).toBeUndefined();
  await killed.waitFor('test_hung');
  await killed.stop();
  // The claim of the one that was killed has run out.
  const next = await startWorkerd({
    upstreams: { up: upstream.base('up') },
    bindings,
    folder,
    observed: { clockMs: 120_000 },
  });
  workerd = next;
  expect(outcomeOf(await ask(next)).error).toBeUndefined();
  await refsThrough({ hotpack: next }, name);
  await next.waitFor('prewarm.repo');
  const asked = upstream.journal.select({ repository: name, kind: 'fetch' });
  expect(asked.filter(({ lines }) => !lines.some((line) => line.startsWith('deepen')))).toHaveLength(fills);
  const direct = await cloneDirectly();
  const refused = upstream.forbidFetch();
  expect(await readClone(await clone(next.repository(name)))).toEqual(direct);
  expect(refused.hits).toEqual([]);
});

/** A history whose pack takes three segments of the bucket, though its newest commit is small. */
function largeHistory(): string {
  const folder = join(temporaryFolder('large'), 'large.git');
  gitSync(['init', '-q', '--bare', folder]);
  const stream = new FastImport();
  const ref = 'refs/heads/main';
  stream.commit({ ref, message: 'large', changes: [{ path: 'large', data: randomBytes(12 * 1024 * 1024) }] });
  stream.commit({
    ref,
    message: 'small',
    changes: [
      { path: 'large', deleted: true },
      { path: 'small', data: 'small\n' },
    ],
  });
  stream.run(folder);
  return folder;
}

test('a fill that is killed while its bytes arrive is asked for once more, and what it left is collected', async () => {
  const folder = temporaryFolder('killed');
  const name = 'up/team/large';
  const bindings = ['BUCKET', 'KV', 'QUEUE'] as const;
  // The second segment: the first lies in the bucket.
  const killed = await open({ bindings, folder, observed: { hang: 'BUCKET.put tmp/…/1$' } });
  upstream.add(name, largeHistory());
  const tip = revision(upstream.folder(name), 'main');
  const ask = async (worker: Workerd): Promise<ReturnType<typeof outcomeOf>> =>
    outcomeOf(await fetchRaw({ hotpack: worker }, name, ['deepen 1', `want ${tip}`]));
  const small = { status: 200, objects: 3, error: undefined };
  expect(await ask(killed)).toEqual(small);
  await killed.waitFor('test_hung');
  expect(await ask(killed)).toEqual(small);
  await killed.stop();
  // Its claim has run out, and what it left is more than a day old.
  const next = await startWorkerd({
    upstreams: { up: upstream.base('up') },
    bindings,
    folder,
    observed: { clockMs: 3 * 86_400_000 },
  });
  workerd = next;
  const left = await next.keys('tmp/');
  expect(left.length).toBeGreaterThan(0);
  expect(await next.keys(`mirrors/${name}.git/objects/pack/`)).toEqual([]);
  expect(await ask(next)).toEqual(small);
  await next.waitFor('prewarm.repo');
  const asked = upstream.journal.select({ repository: name, kind: 'fetch' });
  expect(asked.filter(({ lines }) => !lines.some((line) => line.startsWith('deepen')))).toHaveLength(2);
  await next.cron();
  expect(await next.keys('tmp/')).toEqual([]);
  const direct = await readClone(await clone(upstream.url(name)));
  const refused = upstream.forbidFetch();
  expect(await readClone(await clone(next.repository(name)))).toEqual(direct);
  expect(refused.hits).toEqual([]);
});
