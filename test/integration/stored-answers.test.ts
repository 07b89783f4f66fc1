/** The same question twice: answered from a file, whoever asks and however it is framed, and only while it may be. */
import { existsSync, readdirSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { assertSound, readClone } from '../support/clones.ts';
import { git, gitSync, temporaryFolder } from '../support/git.ts';
import { body, FLUSH } from '../support/pkt-lines.ts';
import { postUploadPack, readFetchAnswer, type RawAnswer } from '../support/raw-client.ts';
import { commitUpstream, revision, richRepository } from '../support/repositories.ts';
import { fetchRaw, fillMirror, openHouse, outcomeOf, tipsOf, type House } from './house.ts';

let house: House;
const name = 'up/rich';
let tip: string;

beforeEach(async () => {
  house = await openHouse({ rich: richRepository() });
  await fillMirror(house, name);
  house.upstream.forbidFetch(name);
  tip = revision(house.upstream.folder(name), 'main');
});
afterEach(() => house.close());

function storedFiles(): string[] {
  const folder = join(house.hotpack.folder, 'answers', `${name}.git`);
  return existsSync(folder) ? readdirSync(folder).map((file) => join(folder, file)) : [];
}

/** Those stored since `before`, once there are some. */
async function newlyStored(before: readonly string[]): Promise<string[]> {
  for (let n = 0; n < 500; n++) {
    const files = storedFiles().filter((file) => !before.includes(file));
    if (files.length > 0) return files;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error('nothing was stored within 5 s');
}

const ask = (...lines: string[]): Promise<RawAnswer> => fetchRaw(house, name, [...lines, `want ${tip}`]);

/** Asks until the answer comes from the store; how often it did not. */
async function untilStored(...lines: string[]): Promise<{ readonly first: RawAnswer; readonly stored: RawAnswer }> {
  const before = storedFiles();
  const first = await ask(...lines);
  if ((await ask(...lines)).source !== 'pack-cache') throw new Error('the second was made anew');
  await newlyStored(before);
  return { first, stored: await ask(...lines) };
}

test('the second demand stores it, the third is read from a file: the same pack, of a length that is told before', async () => {
  const { first, stored } = await untilStored('deepen 1');
  expect([first.source, stored.source]).toEqual(['mirror', 'pack-cache']);
  expect(stored.headers['content-length']).toBe(String(stored.body.length));
  expect(outcomeOf(stored)).toEqual(outcomeOf(first));
  expect(stored.body.equals(first.body)).toBe(true);
  expect(await house.hotpack.metric('hotpack_stored_bytes', { what: 'answers' })).toBe(
    storedFiles().reduce((sum, file) => sum + statSync(file).size, 0),
  );
});

test('many jobs of one commit: it is packed once, and every checkout is sound', async () => {
  const targets = Array.from({ length: 12 }, (_, n) => join(temporaryFolder('jobs'), `${n}`));
  const checkout = async (target: string, n: number): Promise<void> => {
    await git(['init', '-q', target]);
    const fetch = ['fetch', '-q', '--no-tags', '--depth=1', house.hotpack.repository(name), tip];
    await git(['-C', target, ...fetch], { protocol: ([0, 1, 2] as const)[n % 3] ?? 2 });
    await git(['-C', target, 'checkout', '-q', 'FETCH_HEAD']);
    await assertSound(target);
  };
  await Promise.all(targets.map(checkout));
  expect(await house.hotpack.metric('hotpack_requests_total', { kind: 'fetch', source: 'pack-cache' })).toBe(11);
  const first = await readClone(targets[0] ?? '');
  for (const target of targets) expect(await readClone(target)).toEqual(first);
});

test('a restart changes nothing, and bytes that were cut are never given', async () => {
  const { first } = await untilStored('deepen 1', 'include-tag');
  await untilStored('deepen 2');
  await house.hotpack.restart();
  const again = await ask('deepen 1', 'include-tag');
  expect([again.source, again.body.equals(first.body)]).toEqual(['pack-cache', true]);
  await house.hotpack.stop();
  for (const file of storedFiles()) truncateSync(file, statSync(file).size - 1000);
  await house.hotpack.start();
  for (const lines of [['deepen 1', 'include-tag'], ['deepen 2']]) {
    const made = await ask(...lines);
    expect(made.source).toBe('mirror');
    expect(outcomeOf(made)).toMatchObject({ status: 200, error: undefined });
  }
  expect(house.hotpack.log.filter((line) => line.event === 'answer_failed').length).toBeGreaterThan(0);
});

test('every framing and version is cut from the one that is stored', async () => {
  const { stored } = await untilStored('deepen 1');
  const { pack } = readFetchAnswer(stored.body, 'side-band');
  const url = house.hotpack.repository(name);
  const v0 = (capabilities: string): Promise<RawAnswer> =>
    postUploadPack(url, 0, body([`want ${tip} ofs-delta no-progress ${capabilities}`, 'deepen 1', FLUSH, 'done']));
  for (const [capabilities, framing] of [
    ['side-band-64k', 'side-band'],
    ['side-band', 'side-band'],
    ['', 'raw'],
  ] as const) {
    const answer = await v0(capabilities);
    expect(answer.source).toBe('pack-cache');
    expect(answer.headers['content-length']).toBe(String(answer.body.length));
    const start = answer.body.indexOf('0008NAK\n');
    expect(answer.body.subarray(0, start).toString()).toBe(`0034shallow ${tip}0000`);
    expect(readFetchAnswer(answer.body, framing).pack.equals(pack)).toBe(true);
  }
  const all = await ask('deepen 1', 'sideband-all');
  expect(all.source).toBe('pack-cache');
  // Section lines are on band 1 there too.
  const framed = readFetchAnswer(all.body, 'side-band').pack;
  expect(framed.subarray(framed.indexOf('PACK')).equals(pack)).toBe(true);
});

describe('what is another question', () => {
  test('other depths, filters, haves that are here; not haves that are not', async () => {
    await untilStored('deepen 1');
    const have = tipsOf(house.upstream.folder(name), ['refs/tags'])[0] ?? '';
    for (const lines of [['deepen 2'], ['deepen 1', 'filter blob:none'], ['deepen 1', `have ${have}`]]) {
      expect((await ask(...lines)).source).toBe('mirror');
    }
    expect((await ask('deepen 1', `have ${'7'.repeat(40)}`)).source).toBe('pack-cache');
  });

  test('a tag that moved, where it is added; and one that did not matter', async () => {
    house.upstream.clearRules();
    const folder = house.upstream.folder(name);
    const { first } = await untilStored('deepen 1', 'include-tag');
    await git(['tag', '-a', '-m', 'elsewhere', 'elsewhere', `${tip}~1`], { cwd: folder });
    await untilHeld(['refs/tags/elsewhere']);
    const other = await ask('deepen 1', 'include-tag');
    expect([other.source, other.body.equals(first.body)]).toEqual(['pack-cache', true]);
    await git(['tag', '-a', '-m', 'here', 'here', tip], { cwd: folder });
    await untilHeld(['refs/tags/here']);
    const moved = await ask('deepen 1', 'include-tag');
    expect(moved.source).toBe('mirror');
    expect(outcomeOf(moved).objects).toBe(outcomeOf(first).objects + 1);
    expect((await ask('deepen 1')).source).toBe('mirror');
  });

  test('what deepen-not names, when it has moved', async () => {
    const folder = house.upstream.folder(name);
    house.upstream.clearRules();
    await git(['branch', '-f', 'base', `${tip}~3`], { cwd: folder });
    await untilStored('deepen-not refs/heads/base');
    await git(['branch', '-f', 'base', `${tip}~2`], { cwd: folder });
    const moved = await ask('deepen-not refs/heads/base');
    expect(moved.source).toBe('mirror');
    await git(['branch', '-f', 'base', `${tip}~3`], { cwd: folder });
    expect((await ask('deepen-not refs/heads/base')).source).toBe('pack-cache');
  });

  async function untilHeld(refs: readonly string[]): Promise<void> {
    const folder = house.upstream.folder(name);
    const oids = refs.map((ref) => revision(folder, ref));
    await git(['ls-remote', '-q', house.hotpack.repository(name)]);
    await house.hotpack.mirrorHolds(name, oids);
  }
});

describe('before it is given', () => {
  test('the access is asked for as ever', async () => {
    await untilStored('deepen 1');
    house.upstream.protect(name, 'Bearer right');
    await house.hotpack.restart();
    expect((await ask('deepen 1')).status).toBe(401);
  });

  test('upstream must still have what no ref shows', async () => {
    const folder = house.upstream.folder(name);
    house.upstream.clearRules();
    await untilStored('deepen 1');
    commitUpstream(folder, 'main', 'main~3');
    gitSync(['repack', '-adq'], { cwd: folder });
    gitSync(['prune', '--expire=now'], { cwd: folder });
    await git(['ls-remote', '-q', house.hotpack.repository(name)]);
    expect(outcomeOf(await ask('deepen 1')).error).toMatch(/not our ref/);
  });
});
