/**
 * A Worker's mirror over R2 that grows by one push after the other: every manifest that comes to lie in the bucket is looked at, and
 * none names more than 20 packs; at the end git finds all of it in the mirror, and it is what upstream has.
 */
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { parseManifest, type Manifest } from '../../src/mirror/catalog/manifest.ts';
import { parseDocument } from '../../src/storage/drivers/bucket/document-format.ts';
import { createMemoryStorage } from '../../src/storage/drivers/memory.ts';
import { createR2Storage } from '../../src/storage/drivers/r2.ts';
import { bringUpToDate, fetchRaw, outcomeOf } from '../integration/house.ts';
import { assertSound, readClone } from '../support/clones.ts';
import { git, temporaryFolder } from '../support/git.ts';
import { addHistory, emptyRepository } from '../support/packed-repository.ts';
import { commitUpstream, revision } from '../support/repositories.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';
import { startWorkerd, type Workerd } from '../support/workerd.ts';
import { asker, createWorld, repository } from '../unit/mirror/fake-upstream.ts';

const MAX_PACKS = 20;
const { name } = repository;
const MANIFEST = 'hotpack/manifest!';
let upstream: Upstream;
let worker: Workerd;

beforeEach(async () => {
  upstream = await startUpstream();
  worker = await startWorkerd({
    upstreams: { up: upstream.base('up') },
    bindings: ['BUCKET', 'KV', 'QUEUE'],
    observed: { printed: MANIFEST },
  });
});
afterEach(async () => {
  await worker.stop();
  await upstream.stop();
});

/** Every one that came to lie in the bucket, in order. */
function manifests(): Manifest[] {
  return worker
    .logged('test_put')
    .map(({ text }) => parseManifest(parseDocument(MANIFEST, new TextEncoder().encode(String(text))).value));
}

async function clone(url: string): Promise<string> {
  const folder = join(temporaryFolder('clone'), 'clone');
  await git(['clone', '-q', url, folder]);
  await assertSound(folder);
  return folder;
}

/** All that branches, tags and pull requests name is in the mirror, and nothing of it is asked of upstream. */
async function expectWhole(pulls: readonly string[]): Promise<void> {
  const direct = await readClone(await clone(upstream.url(name)));
  const refused = upstream.forbidFetch();
  const cloned = await clone(worker.repository(name));
  expect(await readClone(cloned)).toEqual(direct);
  for (const oid of pulls) await git(['fetch', '-q', worker.repository(name), oid], { cwd: cloned });
  await assertSound(cloned);
  expect(refused.hits).toEqual([]);
}

test('pushes and pull requests are merged behind it several times over, and it never has more than 20 packs', async () => {
  const folder = upstream.add(name, emptyRepository('pushed'));
  addHistory(folder, { commits: 20 });
  await git(['config', 'http.receivepack', 'true'], { cwd: folder });
  await git(['ls-remote', worker.repository(name)]);
  const client = await clone(worker.repository(name));
  await worker.waitFor('prewarm.repo');
  await git(['config', 'user.name', 'Ada'], { cwd: client });
  await git(['config', 'user.email', 'ada@example.com'], { cwd: client });
  const pulls: string[] = [];
  for (let push = 0; push < 36; push++) {
    await git(['commit', '-q', '--allow-empty', '-m', `push ${push}`], { cwd: client });
    await git(['push', '-q', 'origin', 'HEAD:main'], { cwd: client });
    await bringUpToDate(worker, name);
    if (push % 2 === 1) continue;
    const oid = commitUpstream(folder, `pull-${push}`, 'refs/heads/main');
    await git(['update-ref', `refs/pull/${push}/head`, oid], { cwd: folder });
    await git(['update-ref', '-d', `refs/heads/pull-${push}`], { cwd: folder });
    pulls.push(oid);
    const ended = worker.logged('prewarm.repo').length;
    expect(
      outcomeOf(await fetchRaw({ hotpack: worker }, name, [`have ${revision(client, 'HEAD')}`, `want ${oid}`, 'done']))
        .error,
    ).toBe(undefined);
    await worker.waitFor('prewarm.repo', ended + 1);
  }
  await expectWhole(pulls);
  const packs = manifests().map((manifest) => manifest.packs.length);
  const merges = worker.logged('packs_merged').length;
  console.log(`packs by manifest: ${packs.join(' ')}; ${merges} merges`);
  expect(Math.max(...packs)).toBeLessThanOrEqual(MAX_PACKS);
  // Each publication has a manifest of its own, and so has each merge.
  expect(packs.length).toBeGreaterThanOrEqual(54 + merges);
  expect(merges).toBeGreaterThan(5);
});

/** A mirror whose process published as often as `MAX_PACKS` allows and never came to merge. */
async function seedCrowded(folder: string): Promise<void> {
  const storage = createMemoryStorage();
  const world = createWorld(folder, { storage });
  world.jobs.submit({
    kind: 'maintenance',
    repo: name,
    lane: 'maintenance',
    key: 'busy',
    priority: 'background',
    abandonWhenUnwatched: false,
    run: () => new Promise(() => undefined),
  });
  const { signal } = new AbortController();
  for (let pack = 0; pack < MAX_PACKS; pack++) {
    if (pack > 0) commitUpstream(folder);
    world.nowMs += 60_000;
    expect(await world.mirror.warm(asker(), { signal })).toBe(pack === 0 ? 'cloned' : 'fetched');
  }
  const bucket = createR2Storage(await worker.bucket());
  for (const { key } of (await storage.list('mirrors/')).objects) {
    const [object, document] = [await storage.readAll(key, 1 << 24), await storage.readDocument(key)];
    if (object.kind !== 'absent') await bucket.put(key, object.bytes);
    if (document.kind === 'absent') continue;
    expect(parseManifest(document.bytes).packs).toHaveLength(MAX_PACKS);
    await bucket.replaceDocument(key, document.bytes, 'absent');
  }
}

test('a mirror that is found with 20 packs is merged before the next one is published', async () => {
  const folder = upstream.add(name, emptyRepository('pushed'));
  addHistory(folder, { commits: 20 });
  await seedCrowded(folder);
  commitUpstream(folder);
  await bringUpToDate(worker, name);
  expect(worker.logged('prewarm.repo')).toMatchObject([{ path: 'fetch', status: 'ok' }]);
  await expectWhole([]);
  const packs = manifests().map((manifest) => manifest.packs.length);
  console.log(`packs by manifest: ${packs.join(' ')}`);
  expect(Math.max(...packs)).toBeLessThanOrEqual(MAX_PACKS);
  expect(packs[0]).toBeLessThan(MAX_PACKS);
});
