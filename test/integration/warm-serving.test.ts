/** What warming gives to those who clone: mirrors as if they had asked before, and no queue to stand in. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { openPacks } from '../../src/mirror/copy/packs.ts';
import { mirrorKeys } from '../../src/mirror/keys.ts';
import { selectObjects } from '../../src/pack/walk/select-objects.ts';
import { createPackCounters } from '../../src/pack/writing/pack-query.ts';
import { streamPack } from '../../src/pack/writing/stream-pack.ts';
import { parseV2Command } from '../../src/protocol/v2-command.ts';
import { NO_TAGS } from '../../src/serve/fetch/annotated-tags.ts';
import { planFetch } from '../../src/serve/fetch/plan-fetch.ts';
import { openFsStorage } from '../../src/storage/drivers/fs.ts';
import type { Storage } from '../../src/storage/contract.ts';
import { git, temporaryFolder, tryGit } from '../support/git.ts';
import { body, DELIMITER, FLUSH } from '../support/pkt-lines.ts';
import { revision, richRepository } from '../support/repositories.ts';
import { tipsOf } from './house.ts';
import { endOfPass, importCounts, openWarmHouse, statuses, type WarmHouse } from './warming.ts';

let house: WarmHouse;
afterEach(() => house.close());

const V2_FETCH = ['command=fetch', 'agent=raw/1', 'object-format=sha1', DELIMITER, 'thin-pack', 'ofs-delta'];

/** What clients ask for, as the lines of a v2 fetch. */
function questions(): Record<string, readonly string[]> {
  const origin = richRepository();
  const everything = tipsOf(origin, ['refs/heads', 'refs/tags']).map((oid) => `want ${oid}`);
  const main = `want ${revision(origin, 'main')}`;
  return {
    'a clone': [...everything, 'done'],
    'one branch': [main, 'include-tag', 'done'],
    'depth 1': ['deepen 1', main, 'done'],
    'depth 20': ['deepen 20', main, 'done'],
    'no blobs': ['filter blob:none', ...everything, 'done'],
    'twenty commits': [main, `have ${revision(origin, 'main~20')}`, 'done'],
  };
}

/** How a mirror answers: the plan, and all work that was counted. */
async function workOf(storage: Storage, folder: string, lines: readonly string[]): Promise<unknown> {
  const { signal } = new AbortController();
  const names = readdirSync(join(folder, 'objects/pack')).filter((file) => file.endsWith('.pack'));
  const { packFolder } = mirrorKeys(folder.slice(folder.indexOf('/mirrors/') + '/mirrors/'.length));
  const packs = await openPacks(
    storage,
    {
      folder: packFolder,
      names: names.map((file) => file.slice(0, -'.pack'.length)),
      cacheBytes: 2 ** 20,
    },
    signal,
  );
  const { store } = packs;
  const command = parseV2Command(body([...V2_FETCH, ...lines, FLUSH]));
  if (command.kind !== 'fetch') throw new Error(command.kind);
  const plan = planFetch(command.request, {
    isHere: (oid) => store.find(oid) >= 0,
    refs: undefined,
    tags: () => NO_TAGS,
  });
  if (plan.kind !== 'select') return plan;
  const { objects, clientHas, shallow } = await selectObjects(store, plan.query, { signal });
  const counters = createPackCounters();
  const query = { objects, clientHas, ofsDelta: true, thin: true };
  for await (const _ of streamPack(store, query, { signal, counters }));
  await packs.close();
  return { plan, packs: store.packCount, objects: objects.length, shallow, written: counters, read: store.counters };
}

test('a warmed mirror answers as one that a request had filled: the same plans, the same reads', async () => {
  house = await openWarmHouse([]);
  for (const name of ['warmed', 'asked']) house.upstream.add(`up/${name}`, richRepository());
  const hotpack = house.server();
  const env = { HOTPACK_STORAGE: `fs:${hotpack.folder}` };
  await importCounts(env, [{ repo: 'up/warmed', daysAgo: 0, clones: 1 }]);
  await hotpack.start();
  expect(statuses(await endOfPass(hotpack))).toEqual({ 'up/warmed': 'clone ok' });
  const clone = async (name: string): Promise<string> => {
    const folder = join(temporaryFolder('serving'), 'clone');
    await git(['clone', '-q', hotpack.repository(name), folder]);
    return git(['-C', folder, 'for-each-ref']);
  };
  await clone('up/asked');
  await hotpack.mirrorHolds('up/asked', tipsOf(richRepository(), ['refs/heads', 'refs/tags']));
  const forbidden = house.upstream.forbidFetch();
  expect(await clone('up/warmed')).toBe(await clone('up/asked'));
  expect(forbidden.hits).toEqual([]);
  await hotpack.stop();

  const [warmed, asked] = ['up/warmed', 'up/asked'].map((name) => hotpack.mirrorFolder(name)) as [string, string];
  const inside = (folder: string, ...args: string[]): Promise<string> => git(['-C', folder, ...args]);
  for (const args of [['for-each-ref'], ['cat-file', '--batch-check', '--batch-all-objects']]) {
    expect(await inside(warmed, ...args)).toBe(await inside(asked, ...args));
  }
  const storage = await openFsStorage({ folder: hotpack.folder });
  try {
    for (const [name, lines] of Object.entries(questions())) {
      const work = await workOf(storage, warmed, lines);
      expect(work, name).toMatchObject({ plan: { kind: 'select' }, packs: 1 });
      expect(work, name).toEqual(await workOf(storage, asked, lines));
    }
  } finally {
    await storage.close();
  }
});

test("a private repository is warmed with hotpack's token alone, which lets nobody else in and is found nowhere", async () => {
  house = await openWarmHouse(['private', 'public']);
  const { upstream } = house;
  const basic = (pair: string): string => `Basic ${Buffer.from(pair).toString('base64')}`;
  const [own, reader] = [basic('hotpack:s3cr3t-of-warming'), basic('reader:s3cr3t-of-reader')];
  upstream.protect('up/private', own, reader);
  const hotpack = house.server({ HOTPACK_UPSTREAM_TOKENS: 'up=hotpack:s3cr3t-of-warming' });
  const counts = ['private', 'public'].map((name) => ({ repo: `up/${name}`, daysAgo: 0, clones: 1 }));
  await importCounts({ HOTPACK_STORAGE: `fs:${hotpack.folder}` }, counts);
  await hotpack.start();
  expect(statuses(await endOfPass(hotpack))).toEqual({ 'up/private': 'clone ok', 'up/public': 'clone ok' });
  const sent = upstream.journal.entries.map((entry) => entry.authorization);
  expect(sent.length).toBeGreaterThanOrEqual(6);
  expect(new Set(sent)).toEqual(new Set([own]));

  const forbidden = upstream.forbidFetch();
  const url = hotpack.repository('up/private');
  expect((await tryGit(['clone', '-q', url, join(temporaryFolder('nobody'), 'clone')])).code).not.toBe(0);
  const config = [`http.extraHeader=Authorization: ${reader}`];
  await git(['clone', '-q', url, join(temporaryFolder('reader'), 'clone')], { config });
  expect(forbidden.hits).toEqual([]);
  const found = await tryGit(['grep', '--no-index', '-r', '-a', '-l', '-e', 's3cr3t', '-e', own.slice(6), '--', '.'], {
    cwd: hotpack.folder,
  });
  // 1: nothing was found, and nothing went wrong.
  expect(found).toMatchObject({ code: 1, stdout: '' });
  expect(hotpack.stderr).not.toMatch(/s3cr3t/);
  expect(hotpack.stderr).not.toContain(own.slice(6));
});

test('requests for other repositories overtake a pass that upstream holds up', async () => {
  const warmed = ['w0', 'w1', 'w2', 'w3', 'w4', 'w5'];
  const asked = ['c0', 'c1', 'c2'];
  house = await openWarmHouse([...warmed, ...asked]);
  const { upstream } = house;
  const hotpack = house.server({ HOTPACK_PREWARM_CONCURRENCY: '2' });
  const counts = warmed.map((name) => ({ repo: `up/${name}`, daysAgo: 0, clones: 1 }));
  await importCounts({ HOTPACK_STORAGE: `fs:${hotpack.folder}` }, counts);
  const slow = upstream.when(
    { kind: 'fetch', test: (entry) => entry.repository.startsWith('up/w') },
    { do: 'hold', stage: 'request' },
  );
  await hotpack.start();
  await slow.arrived(2);
  for (const name of asked) {
    await git(['clone', '-q', hotpack.repository(`up/${name}`), join(temporaryFolder(name), 'clone')]);
    await hotpack.mirrorHolds(`up/${name}`, tipsOf(upstream.folder(`up/${name}`)));
  }
  expect(slow.hits).toHaveLength(2);
  slow.release();
  await endOfPass(hotpack);
  const events = hotpack.log.filter((line) => line.event === 'fill_started' || line.event === 'fill_ended');
  const order = events.map((line) => `${line.event.replace('fill_', '')} ${String(line['repo']).replace('up/', '')}`);
  const started = ['started w0', 'started w1'];
  expect(order.slice(0, 2).toSorted()).toEqual(started);
  expect(order.slice(2, 8)).toEqual(asked.flatMap((name) => [`started ${name}`, `ended ${name}`]));
  expect(
    order
      .filter((step) => step.startsWith('ended'))
      .slice(3)
      .toSorted(),
  ).toEqual(warmed.map((name) => `ended ${name}`));
});
