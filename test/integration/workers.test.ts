/** The Worker in real workerd: who asks is never kept waiting by others, and what is served next time was filled behind him. */
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { assertSound, readClone } from '../support/clones.ts';
import { git, temporaryFolder } from '../support/git.ts';
import { richRepository } from '../support/repositories.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';
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

test('a cold clone passes through, the mirror is filled behind it, and the next ones come out of it', async () => {
  const worker = await open();
  const direct = await readClone(await clone(upstream.url('up/team/rich')));
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
  const direct = await readClone(await clone(upstream.url('up/team/rich')));
  expect(await readClone(await clone(worker.repository('up/team/rich')))).toEqual(direct);
  await worker.waitFor('prewarm.repo');
  const refused = upstream.forbidFetch();
  for (const isolate of [0, 1]) {
    expect(await readClone(await clone(worker.repository('up/team/rich', isolate)))).toEqual(direct);
  }
  expect(refused.hits).toEqual([]);
});
