/**
 * The same app wherever it runs: what clients see through each runtime, over each kind of store, with real git. The whole table of
 * operations is played on Node alone (operations.test.ts); here are the cells that differ most in how they are answered.
 */
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { assertSound, readClone } from '../support/clones.ts';
import { git, temporaryFolder, tryGit } from '../support/git.ts';
import type { Hotpack } from '../support/hotpack.ts';
import { getRefs } from '../support/raw-client.ts';
import { olderDatedRepository, richRepository } from '../support/repositories.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';
import { RUNTIMES, type Place } from './contract/places.ts';
import { fillMirror } from './house.ts';
import { STATES, type State } from './operations/operation.ts';
import { playTable, type Trial } from './operations/play-table.ts';

const CELLS: Readonly<Record<State, NonNullable<Trial['cells']>>> = {
  cold: [
    { name: 'clone', protocols: [2] },
    { name: 'actions/checkout by hash', protocols: [2] },
  ],
  mirror: [
    { name: 'clone', protocols: [0, 2] },
    { name: 'clone --filter=blob:none with its checkout', protocols: [2] },
    { name: 'actions/checkout by hash', protocols: [2] },
    { name: 'fetch into a shallow clone', protocols: [0] },
  ],
  'new commit': [
    { name: 'clone --depth 1', protocols: [2] },
    { name: 'fetch', protocols: [2] },
  ],
};
const basic = (pair: string): string => `Basic ${Buffer.from(pair).toString('base64')}`;

async function clone(url: string, config: readonly string[] = []): Promise<string> {
  const folder = join(temporaryFolder('clone'), 'clone');
  await git(['clone', '-q', url, folder], { config });
  await assertSound(folder);
  return folder;
}

describe.each(RUNTIMES)('$name', ({ open, isEdge, hasOwnTable, isSkipped, killsAfterMs }) => {
  const suite = isSkipped === true ? describe.skip : describe;
  suite.each(hasOwnTable === true ? [] : STATES)('%s', (state) => {
    let place: Place;
    afterAll(() => place.close());
    playTable(state, {
      cells: CELLS[state],
      asksForNewAlone: !isEdge,
      start: async (options) => {
        place = await open();
        return place.server(options).start();
      },
    });
  });

  suite('one store', () => {
    let place: Place;
    let upstream: Upstream;
    const start = (env: Readonly<Record<string, string>> = {}): Promise<Hotpack> =>
      place.server({ upstreams: { up: upstream.base('up') }, env }).start();
    beforeEach(async () => {
      [upstream, place] = await Promise.all([startUpstream(), open()]);
    });
    afterEach(async () => {
      upstream.clearRules();
      try {
        await place.close();
      } finally {
        await upstream.stop();
      }
    });

    test('outlives a kill: what was there is served, what was under way is begun again', async () => {
      for (const name of ['kept', 'broken']) upstream.add(`up/${name}`, richRepository());
      const direct = await readClone(await clone(upstream.url('up/kept')));
      const first = await start({ HOTPACK_KV_FLUSH_INTERVAL: '100ms' });
      await fillMirror({ upstream, hotpack: first }, 'up/kept');
      // Killed while upstream's pack is arriving.
      const stalled = upstream.when({ repository: 'up/broken', kind: 'fetch' }, { do: 'stall', afterBytes: 100_000 });
      const cut = tryGit(['clone', '-q', first.repository('up/broken'), join(temporaryFolder('cut'), 'clone')]);
      await stalled.arrived();
      await new Promise((resolve) => setTimeout(resolve, 200));
      await first.kill9();
      expect((await cut).code).not.toBe(0);
      upstream.clearRules();

      const second = await start();
      expect((await second.listed()).get('up/kept')).toMatchObject({ state: 'ready', clones14d: 1 });
      const refused = upstream.forbidFetch('up/kept');
      expect(await readClone(await clone(second.repository('up/kept')))).toEqual(direct);
      expect(refused.hits).toEqual([]);
      expect(await readClone(await clone(second.repository('up/broken')))).toEqual(direct);
      // There it is filled a minute later: test/long/workerd-kill.test.ts.
      if (isEdge) return;
      await second.isReady('up/broken');
      const again = upstream.forbidFetch('up/broken');
      expect(await readClone(await clone(second.repository('up/broken')))).toEqual(direct);
      expect(again.hits).toEqual([]);
    });

    test('ends in time when it is interrupted in the middle of a fill, and keeps what was counted', async ({
      skip,
    }) => {
      skip(killsAfterMs === undefined, 'no platform for it kills soon after SIGINT');
      upstream.add('up/stalls', richRepository());
      const stalled = upstream.when({ kind: 'fetch' }, { do: 'stall', afterBytes: 100_000 });
      const first = await start({ HOTPACK_KV_FLUSH_INTERVAL: '1h', HOTPACK_SHUTDOWN_TIMEOUT: '30s' });
      const cut = tryGit(['clone', '-q', first.repository('up/stalls'), join(temporaryFolder('cut'), 'clone')]);
      await stalled.arrived();
      await expect.poll(() => first.metric('hotpack_clones_total')).toBe(1);
      const interruptedAtMs = Date.now();
      expect(await first.interrupt()).toBe(0);
      expect(Date.now() - interruptedAtMs).toBeLessThan(killsAfterMs as number);
      expect((await cut).code).not.toBe(0);
      upstream.clearRules();
      const second = await start();
      expect((await second.listed()).get('up/stalls')).toMatchObject({ state: 'absent', clones14d: 1 });
      await clone(second.repository('up/stalls'));
    });

    test('lets nobody read what his own host would not show him, and serves in an outage who was let in before', async () => {
      upstream.add('up/private', olderDatedRepository());
      const alice = basic('alice:secret');
      upstream.protect('up/private', alice);
      const tokens = { HOTPACK_UPSTREAM_TOKENS: 'up=alice:secret', HOTPACK_LS_REFS_TIMEOUT: '1s' };
      const hotpack = await start({ ...tokens, HOTPACK_ACCESS_TTL: '0' });
      await fillMirror({ upstream, hotpack }, 'up/private', alice);
      const url = hotpack.repository('up/private');
      const status = async (authorization?: string): Promise<number> => {
        const headers = authorization === undefined ? {} : { headers: { authorization } };
        return (await getRefs(url, 2, headers)).status;
      };
      const config = [`http.extraHeader=Authorization: ${alice}`];
      const refused = upstream.forbidFetch();
      await clone(url, config);
      expect(refused.hits).toEqual([]);
      expect(await status()).toBe(401);
      expect(await status(basic('mallory:guess'))).toBe(401);
      await upstream.stop();
      const stale = await tryGit(['clone', '--progress', url, join(temporaryFolder('stale'), 'clone')], { config });
      expect(stale).toMatchObject({ code: 0 });
      expect(stale.stderr).toMatch(/^remote: .*(upstream|stale)/im);
      expect(await status(basic('new:comer'))).toBe(503);
      expect(await status()).not.toBe(200);
      await upstream.start();
      expect(await status(alice)).toBe(200);
      upstream.revoke('up/private', alice);
      expect(await status(alice)).toBe(401);
    });

    test('warms what was cloned most while the first request, for something else, is answered', async () => {
      for (const name of ['a', 'b', 'c', 'other']) upstream.add(`up/${name}`, olderDatedRepository());
      await place.importCounts([
        { repo: 'up/a', daysAgo: 1, clones: 9 },
        { repo: 'up/b', daysAgo: 0, clones: 8 },
        { repo: 'up/c', daysAgo: 0, clones: 7 },
      ]);
      const held = upstream.when(
        { test: (entry) => entry.repository !== 'up/other' },
        { do: 'hold', stage: 'request' },
      );
      const hotpack = await start({ HOTPACK_PREWARM_MOST_CLONED_REPOS: '2' });
      await clone(hotpack.repository('up/other'));
      await held.arrived();
      expect((await fetch(`${hotpack.url}/_readiness`)).status).toBe(200);
      held.release();
      await Promise.all([hotpack.isReady('up/a', 30_000), hotpack.isReady('up/b', 30_000)]);
      expect((await hotpack.listed()).get('up/c')?.state).toBe('absent');
      expect(upstream.journal.select({ repository: 'up/c' })).toEqual([]);
      const refused = upstream.when(
        { kind: 'fetch', test: (entry) => entry.repository !== 'up/other' },
        { do: 'status', status: 500 },
      );
      for (const name of ['a', 'b']) await clone(hotpack.repository(`up/${name}`));
      expect(refused.hits).toEqual([]);
      for (const name of ['a', 'b']) {
        expect(upstream.journal.select({ repository: `up/${name}`, kind: 'fetch' })).toHaveLength(1);
      }
    });
  });
});
