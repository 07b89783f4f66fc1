/** workerd that is killed while its queue fills a mirror: the claim of what was killed runs out after a minute, and who asks then begins it again. */
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { RUNTIMES, type Place } from '../integration/contract/places.ts';
import { assertSound, readClone, type CloneState } from '../support/clones.ts';
import { git, temporaryFolder, tryGit } from '../support/git.ts';
import type { Hotpack } from '../support/hotpack.ts';
import { richRepository } from '../support/repositories.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';

const NAME = 'up/broken';
let place: Place;
let upstream: Upstream;
const start = (): Promise<Hotpack> => place.server({ upstreams: { up: upstream.base('up') }, env: {} }).start();

beforeEach(async () => {
  const workerd = RUNTIMES.find(({ isEdge }) => isEdge);
  if (workerd === undefined) throw new Error('there is no such runtime');
  [upstream, place] = await Promise.all([startUpstream(), workerd.open()]);
  upstream.add(NAME, richRepository());
});
afterEach(async () => {
  upstream.clearRules();
  try {
    await place.close();
  } finally {
    await upstream.stop();
  }
});

async function clone(url: string): Promise<CloneState> {
  const folder = join(temporaryFolder('clone'), 'clone');
  await git(['clone', '-q', url, folder]);
  await assertSound(folder);
  return readClone(folder);
}

test('what the queue was filling is filled after the next start', async () => {
  const direct = await clone(upstream.url(NAME));
  const first = await start();
  const stalled = upstream.when({ repository: NAME, kind: 'fetch' }, { do: 'stall', afterBytes: 100_000 });
  const cut = tryGit(['clone', '-q', first.repository(NAME), join(temporaryFolder('cut'), 'clone')]);
  // The client's own, and the one of the queue.
  await stalled.arrived(2);
  await first.kill9();
  expect((await cut).code).not.toBe(0);
  upstream.clearRules();

  const second = await start();
  expect((await second.listed()).get(NAME)?.state).not.toBe('ready');
  for (const deadline = Date.now() + 240_000; (await second.listed()).get(NAME)?.state !== 'ready';) {
    expect(Date.now()).toBeLessThan(deadline);
    expect(await clone(second.repository(NAME))).toEqual(direct);
    await new Promise((resolve) => setTimeout(resolve, 5_000));
  }
  const refused = upstream.forbidFetch(NAME);
  expect(await clone(second.repository(NAME))).toEqual(direct);
  expect(refused.hits).toEqual([]);
});
