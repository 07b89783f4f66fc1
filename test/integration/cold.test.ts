/** A repository that hotpack never saw: clients are passed through, one fill follows, nobody waits for anybody. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { assertSound, readClone } from '../support/clones.ts';
import { git, temporaryFolder } from '../support/git.ts';
import { body, DELIMITER, FLUSH } from '../support/pkt-lines.ts';
import { getRefs, postUploadPack, readFetchAnswer, type RawAnswer, type RawRequest } from '../support/raw-client.ts';
import { revision, richRepository } from '../support/repositories.ts';
import { fetchRaw, openHouse, outcomeOf, tipsOf, type House } from './house.ts';

let house: House;
const name = 'up/rich';

beforeEach(async () => {
  house = await openHouse({ rich: richRepository() });
});
afterEach(() => house.close());

/** Tips of heads and tags: what `git clone` asks for. */
function cloneTips(): string[] {
  return tipsOf(house.upstream.folder(name), ['refs/heads', 'refs/tags']);
}

/** Objects that those reach. */
const REACHED = 1326;

/** The same full clone, byte by byte, as git sends it: GET, ls-refs, fetch. */
async function fullClone(options: RawRequest = {}): Promise<RawAnswer> {
  const url = house.hotpack.repository(name);
  await getRefs(url, 2);
  const prefixes = ['refs/heads/', 'refs/tags/', 'HEAD'].map((prefix) => `ref-prefix ${prefix}`);
  await postUploadPack(
    url,
    2,
    body(['command=ls-refs', 'object-format=sha1', DELIMITER, 'peel', 'symrefs', 'unborn', ...prefixes, FLUSH]),
  );
  const lines = [
    'command=fetch',
    'agent=raw/1',
    'object-format=sha1',
    DELIMITER,
    'thin-pack',
    'no-progress',
    'ofs-delta',
  ];
  const wants = cloneTips().map((oid) => `want ${oid}`);
  return postUploadPack(url, 2, body([...lines, ...wants, 'done', FLUSH]), options);
}

function packObjects(answer: RawAnswer): number {
  const { pack } = readFetchAnswer(answer.body, 'side-band');
  return answer.complete && pack.length > 12 ? pack.readUInt32BE(8) : 0;
}

function fetchesSeen(): number {
  return house.upstream.journal.select({ repository: name, kind: 'fetch' }).length;
}

function seeded(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state % bound;
  };
}

test('a full clone is passed through, and its stream is the fill', async () => {
  const answer = await fullClone();
  expect(answer.source).toBe('upstream');
  expect(packObjects(answer)).toBe(REACHED);
  await house.hotpack.mirrorHolds(name, cloneTips());
  expect(fetchesSeen()).toBe(1);
  await house.hotpack.fsck(name);
  house.upstream.forbidFetch(name);
  const warm = await fetchRaw(house, name, ['deepen 1', `want ${revision(house.upstream.folder(name), 'main')}`]);
  expect(warm.source).toBe('mirror');
});

test('20 equal clones with git at once cost at most two fetches', async () => {
  const folder = temporaryFolder('twenty');
  const targets = Array.from({ length: 20 }, (_, n) => join(folder, `clone-${n}`));
  await Promise.all(targets.map((target) => git(['clone', '-q', house.hotpack.repository(name), target])));
  expect(fetchesSeen()).toBeLessThanOrEqual(2);
  const first = await readClone(targets[0] ?? '');
  expect(await readClone(targets[19] ?? '')).toEqual(first);
  for (const target of [targets[0], targets[7], targets[19]]) await assertSound(target ?? '');
});

test('20 different shapes cost one fetch each and one fill', async () => {
  const tip = revision(house.upstream.folder(name), 'main');
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, n) => fetchRaw(house, name, [`deepen ${n + 1}`, `want ${tip}`])),
  );
  expect(answers.map((answer) => outcomeOf(answer).error)).toEqual(Array.from({ length: 20 }, () => undefined));
  await house.hotpack.mirrorHolds(name, [tip]);
  expect(fetchesSeen()).toBeLessThanOrEqual(21);
  const shapes = house.upstream.journal
    .select({ repository: name, kind: 'fetch' })
    .map((entry) => entry.lines.find((line) => line.startsWith('deepen ')));
  const counted = new Map<string, number>();
  for (const shape of shapes) counted.set(shape ?? 'fill', (counted.get(shape ?? 'fill') ?? 0) + 1);
  expect([...counted.values()].filter((count) => count > 1)).toEqual([]);
});

test('a late joiner gets the stream from its first byte', async () => {
  const stalled = house.upstream.when({ repository: name, kind: 'fetch' }, { do: 'stall', afterBytes: 300_000 }, 1);
  const first = fullClone();
  await stalled.arrived();
  await until(() => (stalled.hits[0]?.answerBytes ?? 0) >= 300_000);
  const second = fullClone();
  await new Promise((resolve) => setTimeout(resolve, 200));
  stalled.release();
  expect(packObjects(await first)).toBe(REACHED);
  expect(packObjects(await second)).toBe(REACHED);
  expect((await second).body.equals((await first).body)).toBe(true);
  expect(fetchesSeen()).toBe(1);
});

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

test('a reader that stalls holds up nobody', async () => {
  let release: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  const stalled = fullClone({ pace: () => gate });
  const others = await Promise.all([fullClone(), fullClone(), fullClone()]);
  expect(others.map(packObjects)).toEqual([REACHED, REACHED, REACHED]);
  await house.hotpack.mirrorHolds(name, cloneTips());
  release();
  expect(packObjects(await stalled)).toBe(REACHED);
});

describe('clients that leave at random bytes', () => {
  /** What each of `count` clients got, in objects (0: it left), then a late one, when those that `leaves` names left. */
  async function play(count: number, leaves: (n: number) => boolean, seed: number): Promise<number[]> {
    const random = seeded(seed);
    const answers = await Promise.all(
      Array.from({ length: count }, (_, n) => fullClone(leaves(n) ? { leaveAfter: 1 + random(700_000) } : {})),
    );
    await house.hotpack.mirrorHolds(name, cloneTips());
    await house.hotpack.fsck(name);
    return [...answers.map(packObjects), packObjects(await fullClone())];
  }

  test.each([1, 2, 3])('the first, seed %i', async (seed) => {
    expect(await play(4, (n) => n === 0, seed)).toEqual([0, REACHED, REACHED, REACHED, REACHED]);
  });
  test.each([4, 5, 6])('a follower, seed %i', async (seed) => {
    expect(await play(4, (n) => n === 2, seed)).toEqual([REACHED, REACHED, 0, REACHED, REACHED]);
  });
  test.each([7, 8, 9])('half of all, seed %i', async (seed) => {
    expect(await play(6, (n) => n % 2 === 0, seed)).toEqual([0, REACHED, 0, REACHED, 0, REACHED, REACHED]);
  });
});

/** Every file below `folder` with its size, but for small values that say what happened. */
function filesBelow(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => statSync(join(folder, path)).isFile())
    .sort();
}

test('a failed fill backs off, leaves nothing behind, and requests go on being passed through', async () => {
  const tip = revision(house.upstream.folder(name), 'main');
  const isFill = (lines: readonly string[]): boolean => !lines.some((line) => line.startsWith('deepen '));
  const broken = house.upstream.when(
    { repository: name, kind: 'fetch', test: (entry) => isFill(entry.lines) },
    { do: 'cut', afterBytes: 200_000 },
  );
  const first = await fetchRaw(house, name, ['deepen 1', `want ${tip}`]);
  expect(outcomeOf(first)).toMatchObject({ status: 200, error: undefined });
  await broken.arrived();
  await until(() => broken.hits[0]?.state === 'cut');
  for (let n = 2; n < 8; n++) {
    const answer = await fetchRaw(house, name, [`deepen ${n}`, `want ${tip}`]);
    expect(answer.source).toBe('upstream');
    expect(outcomeOf(answer).error).toBeUndefined();
  }
  expect(broken.hits.length).toBeLessThanOrEqual(2);
  await house.hotpack.stop();
  const left = filesBelow(join(house.hotpack.folder, 'mirrors')).filter((path) =>
    /\.(pack|idx|rev)$|spool|tmp|temp/.test(path),
  );
  expect(left).toEqual([]);
});

test.each([
  ['truncated', (pack: Buffer): Buffer => pack.subarray(0, Math.floor(pack.length / 2))],
  ['with a flipped bit', (pack: Buffer): Buffer => flip(pack, Math.floor(pack.length / 2))],
])('a pack that arrives %s is never published', async (_, spoil) => {
  house.upstream.when({ repository: name, kind: 'fetch' }, { do: 'spoil', spoil });
  await fullClone().catch(() => undefined);
  await new Promise((resolve) => setTimeout(resolve, 500));
  await house.hotpack.stop();
  const packs = filesBelow(join(house.hotpack.folder, 'mirrors')).filter((path) => /\.(pack|idx|rev)$/.test(path));
  expect(packs).toEqual([]);
});

function flip(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
}
