/** Interval 0: what upstream says now is what the next client is shown, and what it asks for it gets. */
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { writeErrorPacket } from '../../src/protocol/error-packet.ts';
import { git, gitSync, temporaryFolder, tryGit } from '../support/git.ts';
import { commitUpstream, revision, richRepository, subRepository } from '../support/repositories.ts';
import type { JournalEntry } from '../support/upstream/journal.ts';
import { fetchRaw, fillMirror, openHouse, outcomeOf, refsThrough, type House } from './house.ts';

let house: House;
const name = 'up/team/project';

beforeEach(async () => {
  house = await openHouse({ 'team/project': subRepository(), rich: richRepository() });
  await fillMirror(house, name);
});
afterEach(() => house.close());

function upstreamFolder(): string {
  return house.upstream.folder(name);
}

describe.each([0, 1, 2] as const)('protocol %i', (protocol) => {
  test('a commit is seen by the next request', async () => {
    const tip = commitUpstream(upstreamFolder());
    expect((await refsThrough(house, name, protocol)).get('refs/heads/main')).toBe(tip);
    const clone = join(temporaryFolder('fresh'), 'clone');
    await git(['clone', '-q', house.hotpack.repository(name), clone], { protocol });
    expect(revision(clone, 'HEAD')).toBe(tip);
  });

  test('a force-push is seen by the next request', async () => {
    const old = revision(upstreamFolder(), 'main');
    const tip = commitUpstream(upstreamFolder(), 'main', 'main~3');
    expect((await refsThrough(house, name, protocol)).get('refs/heads/main')).toBe(tip);
    const clone = join(temporaryFolder('fresh'), 'clone');
    await git(['clone', '-q', house.hotpack.repository(name), clone], { protocol });
    expect((await tryGit(['cat-file', '-e', old], { cwd: clone })).code).not.toBe(0);
  });

  test('a deleted branch, a new tag and a moved tag are seen by the next request', async () => {
    const folder = upstreamFolder();
    gitSync(['branch', 'gone', 'main~1'], { cwd: folder });
    gitSync(['tag', 'moving', 'main~2'], { cwd: folder });
    const before = await refsThrough(house, name, protocol);
    expect(before.get('refs/heads/gone')).toBe(revision(folder, 'main~1'));
    expect(before.get('refs/tags/moving')).toBe(revision(folder, 'main~2'));
    gitSync(['branch', '-D', 'gone'], { cwd: folder });
    gitSync(['tag', '-f', 'moving', 'main'], { cwd: folder });
    gitSync(['tag', '-a', '-m', 'new', 'annotated', 'main~1'], { cwd: folder });
    const after = await refsThrough(house, name, protocol);
    expect(after.has('refs/heads/gone')).toBe(false);
    expect(after.get('refs/tags/moving')).toBe(revision(folder, 'main'));
    expect(after.get('refs/tags/annotated')).toBe(revision(folder, 'annotated'));
    expect(after.get('refs/tags/annotated^{}')).toBe(revision(folder, 'main~1'));
  });

  test('HEAD that turns to another branch is seen by the next clone', async () => {
    gitSync(['branch', 'next', 'main~1'], { cwd: upstreamFolder() });
    gitSync(['symbolic-ref', 'HEAD', 'refs/heads/next'], { cwd: upstreamFolder() });
    const clone = join(temporaryFolder('fresh'), 'clone');
    await git(['clone', '-q', house.hotpack.repository(name), clone], { protocol });
    expect(gitSync(['symbolic-ref', 'HEAD'], { cwd: clone }).trim()).toBe('refs/heads/next');
  });

  test('a check of refs that was sent before the commit does not answer who came after it', async () => {
    const old = revision(upstreamFolder(), 'main');
    // The answer that carries the refs: of ls-refs, or of an advertisement that a v0 or v1 client is answered from.
    const carriesRefs = (entry: JournalEntry): boolean =>
      entry.kind === 'ls-refs' || (entry.kind === 'advertisement' && entry.protocol !== 2);
    const held = house.upstream.when({ repository: name, test: carriesRefs }, { do: 'hold', stage: 'answer' }, 1);
    const first = refsThrough(house, name, protocol);
    await held.arrived();
    const tip = commitUpstream(upstreamFolder());
    const second = refsThrough(house, name, protocol);
    setTimeout(() => held.release(), 300);
    expect((await second).get('refs/heads/main')).toBe(tip);
    expect([old, tip]).toContain((await first).get('refs/heads/main'));
  });
});

test('a commit that was pushed meanwhile is fetched by its hash, once, and only what is new', async () => {
  const mark = house.upstream.journal.mark();
  const tip = commitUpstream(upstreamFolder());
  const first = await fetchRaw(house, name, ['deepen 1', `want ${tip}`]);
  expect(outcomeOf(first)).toMatchObject({ status: 200, error: undefined });
  expect(outcomeOf(first).objects).toBeGreaterThan(0);
  expect(house.upstream.journal.objectsSent({ repository: name, since: mark })).toBeLessThanOrEqual(4);
  const inMirror = ['-C', house.hotpack.mirrorFolder(name), 'cat-file', '-e', tip];
  for (let tries = 0; tries < 500 && (await tryGit(inMirror)).code !== 0; tries++)
    await new Promise((resolve) => setTimeout(resolve, 10));
  await git(inMirror);
  house.upstream.forbidFetch(name);
  const again = await fetchRaw(house, name, ['deepen 2', `want ${tip}`]);
  expect(outcomeOf(again)).toMatchObject({ status: 200, error: undefined });
});

test('a tag that appeared meanwhile goes along with the commit that it names', async () => {
  const folder = upstreamFolder();
  gitSync(['tag', '-a', '-m', 'new', 'annotated', 'main'], { cwd: folder });
  const held = house.upstream.when({ repository: name, kind: 'fetch' }, { do: 'hold', stage: 'request' });
  const into = join(temporaryFolder('fresh'), 'clone');
  const cloned = git(['clone', '-q', '--depth=1', house.hotpack.repository(name), into], { protocol: 2 });
  await Promise.race([held.arrived(), cloned]);
  await Promise.race([cloned, new Promise((resolve) => setTimeout(resolve, 500))]);
  held.release();
  await cloned;
  expect(revision(into, 'annotated')).toBe(revision(folder, 'annotated'));
  expect(held.hits).toHaveLength(1);
});

test('a tag that upstream gives no more is done without', async () => {
  const folder = upstreamFolder();
  gitSync(['tag', '-a', '-m', 'short-lived', 'annotated', 'main'], { cwd: folder });
  const says = Buffer.from(writeErrorPacket(`upload-pack: not our ref ${revision(folder, 'annotated')}`));
  const refused = house.upstream.when({ repository: name, kind: 'fetch' }, { do: 'spoil', spoil: () => says });
  const into = join(temporaryFolder('fresh'), 'clone');
  await git(['clone', '-q', '--depth=1', house.hotpack.repository(name), into], { protocol: 2 });
  expect(revision(into, 'HEAD')).toBe(revision(folder, 'main'));
  expect(refused.hits.length).toBeGreaterThan(0);
});

test('refs/pull/N/merge that appeared meanwhile is fetched by its hash', async () => {
  const folder = upstreamFolder();
  commitUpstream(folder, 'scratch', 'refs/heads/main');
  const merge = revision(folder, 'refs/heads/scratch');
  gitSync(['update-ref', 'refs/pull/7/merge', merge], { cwd: folder });
  gitSync(['update-ref', '-d', 'refs/heads/scratch'], { cwd: folder });
  const clone = temporaryFolder('pull');
  gitSync(['init', '-q'], { cwd: clone });
  await git(['fetch', '-q', '--depth=1', house.hotpack.repository(name), `+${merge}:refs/remotes/pull/7/merge`], {
    cwd: clone,
  });
  expect(revision(clone, 'refs/remotes/pull/7/merge')).toBe(merge);
});

test('what upstream does not have is refused with upstream’s words', async () => {
  const unknown = '1234567890123456789012345678901234567890';
  const answer = outcomeOf(await fetchRaw(house, name, [`want ${unknown}`]));
  expect(answer.objects).toBe(0);
  expect(answer.error).toMatch(new RegExp(`not our ref ${unknown}`));
});

test('a refused hash is not asked for again within seconds', async () => {
  const unknown = '1234567890123456789012345678901234567890';
  await fetchRaw(house, name, [`want ${unknown}`]);
  const mark = house.upstream.journal.mark();
  expect(outcomeOf(await fetchRaw(house, name, [`want ${unknown}`])).error).toMatch(/not our ref/);
  expect(house.upstream.journal.select({ repository: name, kind: 'fetch', since: mark })).toEqual([]);
});

describe('what a force-push removed', () => {
  test('is not served any more once upstream has it no more', async () => {
    const folder = upstreamFolder();
    const removed = revision(folder, 'main');
    commitUpstream(folder, 'main', 'main~3');
    gitSync(['repack', '-adq'], { cwd: folder });
    gitSync(['prune', '--expire=now'], { cwd: folder });
    await refsThrough(house, name);
    const answer = outcomeOf(await fetchRaw(house, name, [`want ${removed}`]));
    expect(answer.objects).toBe(0);
    expect(answer.error).toMatch(/not our ref/);
  });

  test('is served while upstream confirms the hash', async () => {
    const folder = upstreamFolder();
    const removed = revision(folder, 'main');
    commitUpstream(folder, 'main', 'main~3');
    await refsThrough(house, name);
    const answer = outcomeOf(await fetchRaw(house, name, [`want ${removed}`]));
    expect(answer).toMatchObject({ status: 200, error: undefined });
    expect(answer.objects).toBe(15);
  });
});

test('a repository without any common history starts anew', async () => {
  const folder = upstreamFolder();
  gitSync(['fetch', '-q', house.upstream.folder('up/rich'), '+refs/heads/unrelated:refs/heads/main'], { cwd: folder });
  const clone = join(temporaryFolder('fresh'), 'clone');
  await git(['clone', '-q', house.hotpack.repository(name), clone]);
  expect(revision(clone, 'HEAD')).toBe(revision(folder, 'main'));
});
