/**
 * What the events of a Worker ask of bucket, namespace, queue and upstream, over a mirror of some thousand objects: whatever a client
 * asks, and whatever is merged behind an update, far within the 1,000 calls of an event. miniflare enforces no limit, so they are counted.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { seededRepository } from '../../bench/support/seeded-repository.ts';
import { bringUpToDate, fetchRaw, outcomeOf } from '../integration/house.ts';
import { assertSound } from '../support/clones.ts';
import { FastImport } from '../support/fast-import.ts';
import { git, temporaryFolder } from '../support/git.ts';
import { revision } from '../support/repositories.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';
import { startWorkerd, type Workerd } from '../support/workerd.ts';

/** A fifth of what an event has: this mirror has 10 to 20 MB, and calls grow with bytes. */
const MAX_CALLS = 200;
const name = 'up/calls';
let upstream: Upstream;
let worker: Workerd;

beforeEach(async () => {
  upstream = await startUpstream();
  upstream.add(name, await seededRepository('small'));
  worker = await startWorkerd({
    upstreams: { up: upstream.base('up') },
    bindings: ['BUCKET', 'KV', 'QUEUE'],
    observed: {},
  });
});
afterEach(async () => {
  await worker.stop();
  await upstream.stop();
});

let pushes = 0;
/** Twenty commits of ten files each: some 260 objects. */
function push(): string {
  const folder = upstream.folder(name);
  const stream = new FastImport(1_800_000_000 + ++pushes * 10_000);
  for (let commit = 0; commit < 20; commit++) {
    stream.commit({
      ref: 'refs/heads/main',
      ...(commit === 0 ? { from: revision(folder, 'refs/heads/main') } : {}),
      message: `push ${pushes}, commit ${commit}`,
      changes: Array.from({ length: 10 }, (_, file) => ({
        path: `pushed/${pushes}/${commit}/${file}`,
        data: randomBytes(2_000).toString('hex'),
      })),
    });
  }
  stream.run(folder);
  return revision(folder, 'refs/heads/main');
}

async function clone(...args: readonly string[]): Promise<string> {
  const folder = join(temporaryFolder('clone'), 'clone');
  await git(['clone', '-q', ...args, worker.repository(name), folder]);
  return folder;
}

/** Resolves when the queue has done all that it was sent. */
async function queueIsQuiet(): Promise<void> {
  for (let seen = -1, quiet = 0; quiet < 10;) {
    const ended = worker.logged('test_calls').length;
    quiet = ended === seen ? quiet + 1 : 0;
    seen = ended;
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
}

/** Of each event of the queue so far. */
function queueCalls(): number[] {
  return worker.logged('test_calls').map(({ calls }) => Number(calls));
}

/** The calls of all events of `work`. */
async function callsOf(work: () => Promise<unknown>): Promise<number> {
  await worker.takeCalls();
  await work();
  return (await worker.takeCalls()).calls;
}

test('clones, fetches and merges keep to the calls of an event', async () => {
  const tip = revision(upstream.folder(name), 'refs/heads/main');
  expect(outcomeOf(await fetchRaw({ hotpack: worker }, name, ['deepen 1', `want ${tip}`])).error).toBeUndefined();
  await worker.waitFor('prewarm.repo', 1, 60_000);
  await queueIsQuiet();

  const calls: Record<string, number> = { fill: Math.max(...queueCalls()) };
  let refused = upstream.forbidFetch();
  let client = '';
  calls['full clone'] = await callsOf(async () => (client = await clone()));
  calls['depth 1'] = await callsOf(() => clone('--depth=1'));
  expect(refused.hits).toEqual([]);
  refused.remove();

  push();
  await bringUpToDate(worker, name);
  await queueIsQuiet();
  refused = upstream.forbidFetch();
  calls['20 commits'] = await callsOf(() => git(['fetch', '-q'], { cwd: client }));
  expect(refused.hits).toEqual([]);
  refused.remove();
  await assertSound(client);

  const before = queueCalls().length;
  for (let n = 0; worker.logged('packs_merged').length < 2; n++) {
    expect(n).toBeLessThan(16);
    push();
    await bringUpToDate(worker, name);
  }
  await queueIsQuiet();
  calls['update and merge'] = Math.max(...queueCalls().slice(before));
  refused = upstream.forbidFetch();
  calls['full clone of many packs'] = await callsOf(async () => (client = await clone()));
  expect(refused.hits).toEqual([]);
  await assertSound(client);

  console.log(`calls: ${JSON.stringify(calls)}`);
  for (const [what, count] of Object.entries(calls))
    expect([what, count > 0, count <= MAX_CALLS]).toEqual([what, true, true]);
});
