/**
 * Warming on Workers where there is not room for all: what a pass hands over to the queue takes the place of what is cloned less,
 * never of what is cloned more; whoever asks for a repository by name or clones it gets it whatever goes.
 */
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { assertSound } from '../support/clones.ts';
import { git, temporaryFolder } from '../support/git.ts';
import { addHistory, emptyRepository } from '../support/packed-repository.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';
import { startWorkerd, type Workerd } from '../support/workerd.ts';

const ADMIN_TOKEN = 'admin-token-of-workers';
const COUNTED = { 'up/hot': 10, 'up/more': 5, 'up/less': 2, 'up/cold': 1 };
const folder = temporaryFolder('roomy');
let upstream: Upstream;
let worker: Workerd;

afterEach(async () => {
  await worker.stop();
  await upstream.stop();
});

async function open(
  env: Readonly<Record<string, string>>,
  observed: { readonly clockMs?: number } = {},
): Promise<void> {
  worker = await startWorkerd({
    upstreams: { up: upstream.base('up') },
    bindings: ['BUCKET', 'KV', 'QUEUE'],
    folder,
    observed,
    // Without stored answers, whose limit lists the store too.
    env: { HOTPACK_ADMIN_TOKEN: ADMIN_TOKEN, HOTPACK_PACK_CACHE_BYTES: '0', ...env },
  });
}

async function warmByHand(name: string): Promise<string> {
  const url = `${worker.urls[0]}/api/v1/repos/${name}/-/warm?wait=1`;
  const answer = await fetch(url, { method: 'POST', headers: { authorization: `Bearer ${ADMIN_TOKEN}` } });
  return answer.text();
}

async function bytesOfMirrors(): Promise<number> {
  const { objects } = await (await worker.bucket()).list({ prefix: 'mirrors/' });
  return objects.reduce((sum, { size }) => sum + size, 0);
}

async function mirrorsHere(): Promise<string[]> {
  const keys = await worker.keys('mirrors/');
  return keys.flatMap((key) => (key.endsWith('.git/HEAD') ? [key.slice('mirrors/'.length, -'.git/HEAD'.length)] : []));
}

const fetches = (name: string): number => upstream.journal.select({ repository: name, kind: 'fetch' }).length;

test('a pass spares what is cloned more, somebody who asks does not; none of it costs many calls', async () => {
  upstream = await startUpstream();
  const repository = emptyRepository('roomy');
  addHistory(repository, { commits: 10 });
  for (const name of Object.keys(COUNTED)) upstream.add(name, repository);
  await open({});
  for (const name of ['up/cold', 'up/hot']) expect(await warmByHand(name)).toMatch(/"path":"clone","status":"ok"/);
  await worker.importCounts(COUNTED);
  // Of equal mirrors there is room for two and a half.
  const limit = { HOTPACK_MAX_BYTES: String(Math.floor((await bytesOfMirrors()) * 1.25)) };
  await worker.stop();

  await open({ ...limit, HOTPACK_PREWARM_MOST_CLONED_REPOS: '4' });
  await worker.cron();
  await worker.waitFor('prewarm.repo', 4);
  const outcomes = worker.logged('prewarm.repo').map(({ repo, path, status, error }) => [repo, path, status, error]);
  expect(outcomes).toEqual([
    ['up/hot', 'fetch', 'ok', undefined],
    ['up/cold', 'fetch', 'ok', undefined],
    ['up/more', 'clone', 'ok', undefined],
    ['up/less', 'clone', 'skipped', 'no room but that of mirrors that are cloned more'],
  ]);
  expect(await mirrorsHere()).toEqual(['up/cold', 'up/hot', 'up/more']);
  await worker.waitFor('test_calls', 5);
  const events = worker.logged('test_calls').filter(({ kind }) => kind === 'queue');
  const lists = events.map(({ by }) => (by as Record<string, number>)['BUCKET.list'] ?? 0);
  expect([lists, events.every(({ calls }) => Number(calls) < 100)]).toEqual([[0, 0, 1, 1], true]);
  expect([...(await worker.keys('tmp/')), ...(await worker.keys('mirrors/up/less.git/'))]).toEqual([]);
  await worker.stop();

  // The cron of a quarter of an hour later lets go of what is cloned least.
  await open({ ...limit }, { clockMs: 20 * 60_000 });
  await worker.cron();
  expect(await mirrorsHere()).toEqual(['up/hot', 'up/more']);
  const before = fetches('up/less');
  expect(await warmByHand('up/less')).toMatch(/"path":"clone","status":"ok"/);
  expect([await mirrorsHere(), fetches('up/less') - before]).toEqual([['up/hot', 'up/less', 'up/more'], 1]);
  const clone = join(temporaryFolder('clone'), 'clone');
  await git(['clone', '-q', worker.repository('up/cold'), clone]);
  await assertSound(clone);
  await worker.waitFor('prewarm.repo', 2);
  expect(await mirrorsHere()).toEqual(['up/cold', 'up/hot', 'up/less', 'up/more']);
});
