/** Sixty clients of a Worker at once: cold, each gets what upstream has; warm, nobody asks upstream, and no clone is another one's. */
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { assertSound, readClone } from '../support/clones.ts';
import { git, temporaryFolder } from '../support/git.ts';
import { richRepository } from '../support/repositories.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';
import { startWorkerd, type Workerd } from '../support/workerd.ts';

const CLIENTS = 60;
const name = 'up/team/rich';
let upstream: Upstream;
let worker: Workerd;

beforeEach(async () => {
  upstream = await startUpstream();
  upstream.add(name, richRepository());
  worker = await startWorkerd({
    upstreams: { up: upstream.base('up') },
    bindings: ['BUCKET', 'KV', 'QUEUE'],
    isolates: 2,
  });
});
afterEach(async () => {
  await worker.stop();
  await upstream.stop();
});

/** By turns all of it, a branch, a part, without blobs. */
const SHAPES: readonly (readonly string[])[] = [[], ['--single-branch'], ['--depth=1'], ['--filter=blob:none']];

async function clone(url: string, shape: readonly string[]): Promise<string> {
  const folder = join(temporaryFolder('clone'), 'clone');
  await git(['clone', '-q', ...shape, url, folder]);
  await assertSound(folder);
  return folder;
}

async function cloneAll(): Promise<void> {
  const direct = await Promise.all(SHAPES.map(async (shape) => readClone(await clone(upstream.url(name), shape))));
  const clones = await Promise.all(
    Array.from({ length: CLIENTS }, (_, n) =>
      clone(worker.repository(name, n % 2), SHAPES[n % SHAPES.length] as readonly string[]),
    ),
  );
  for (const [n, folder] of clones.entries()) expect(await readClone(folder)).toEqual(direct[n % SHAPES.length]);
}

test('sixty clones at once, cold, and again from the bucket', async () => {
  await cloneAll();
  await worker.waitFor('prewarm.repo');
  const before = worker.logged('request').length;
  await cloneAll();
  const sources = worker
    .logged('request')
    .slice(before)
    .flatMap(({ kind, source }) => (kind === 'fetch' ? [source] : []));
  expect(sources.length).toBeGreaterThanOrEqual(CLIENTS);
  expect(sources.filter((source) => source === 'upstream')).toEqual([]);
});
