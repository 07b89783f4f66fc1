/** Stored answers where they lie: within their limit, whole whenever their writer is killed, and gone with what they were made of. */
import {
  closeSync,
  cpSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { HEADER_START_BYTES, headerBytesOf, parseAnswerHeader } from '../../src/answers/stored/answer-header.ts';
import { assertSound } from '../support/clones.ts';
import { git, temporaryFolder } from '../support/git.ts';
import { emptyRepository } from '../support/packed-repository.ts';
import type { RawAnswer } from '../support/raw-client.ts';
import { FastImport } from '../support/fast-import.ts';
import { datedRepository, noise, revision, richRepository } from '../support/repositories.ts';
import { fetchRaw, fillMirror, openHouse, outcomeOf, type House } from './house.ts';

const name = 'up/rich';
let house: House;
let tip: string;
afterEach(() => house.close());

async function openFilled(env: Readonly<Record<string, string>> = {}, folder = richRepository()): Promise<void> {
  house = await openHouse({ rich: folder }, env);
  await fillMirror(house, name);
  tip = revision(house.upstream.folder(name), 'main');
}

function filesBelow(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

const stored = (): string[] => filesBelow(join(house.hotpack.folder, 'answers'));
const inTheMaking = (): string[] => filesBelow(join(house.hotpack.folder, 'tmp')).filter(isAnswer);

/** Its first bytes; none where it has gone meanwhile. */
function startOf(file: string): Buffer {
  const start = Buffer.alloc(HEADER_START_BYTES);
  try {
    const handle = openSync(file, 'r');
    const bytes = readSync(handle, start);
    closeSync(handle);
    return start.subarray(0, bytes);
  } catch {
    return Buffer.alloc(0);
  }
}

function isAnswer(file: string): boolean {
  return startOf(file).toString('latin1').startsWith('hotpack answer');
}

const ask = (depth: number, headers: Readonly<Record<string, string>> = {}): Promise<RawAnswer> =>
  fetchRaw(house, name, [`deepen ${depth}`, `want ${tip}`], { headers });

async function untilStored(depth: number): Promise<void> {
  const before = stored().length;
  await ask(depth);
  await ask(depth);
  await expect.poll(() => stored().length, { timeout: 10_000 }).toBe(before + 1);
}

test('beyond HOTPACK_PACK_CACHE_BYTES some go, are counted, and are made anew for whoever asks', async () => {
  // One takes some 233,000 bytes.
  const maxBytes = 800_000;
  await openFilled({ HOTPACK_PACK_CACHE_BYTES: String(maxBytes) });
  house.upstream.forbidFetch(name);
  const bytes = (): number => stored().reduce((sum, file) => sum + statSync(file).size, 0);
  const first = new Map<number, ReturnType<typeof outcomeOf>>();
  for (const depth of [1, 2, 3, 4, 5]) {
    first.set(depth, outcomeOf(await ask(depth)));
    expect(outcomeOf(await ask(depth))).toEqual(first.get(depth));
  }
  const evictions = (): Promise<number> => house.hotpack.metric('hotpack_evictions_total', { what: 'answers' });
  await expect.poll(evictions, { timeout: 10_000 }).toBeGreaterThanOrEqual(2);
  await expect.poll(bytes, { timeout: 10_000 }).toBeLessThanOrEqual(maxBytes);
  expect(stored().length).toBeGreaterThan(1);
  const told = (): Promise<number> => house.hotpack.metric('hotpack_stored_bytes', { what: 'answers' });
  await expect.poll(async () => (await told()) - bytes(), { timeout: 10_000 }).toBe(0);
  for (const [depth, outcome] of first) expect(outcomeOf(await ask(depth))).toEqual(outcome);
  const folder = join(temporaryFolder('clone'), 'clone');
  await git(['clone', '-q', '--depth=1', house.hotpack.repository(name), folder]);
  await assertSound(folder);
  await expect.poll(bytes, { timeout: 10_000 }).toBeLessThanOrEqual(maxBytes);
});

/** Its answers take their time to store, and are worth it when they are first made. */
function largeRepository(): string {
  const folder = emptyRepository('large');
  const stream = new FastImport();
  const bytes = noise('large', 4 * 2 ** 20);
  const changes = Array.from({ length: 6_000 }, (_, n) => ({
    path: `${n % 20}/${n}`,
    data: bytes.subarray(n * 600, (n + 1) * 600),
  }));
  stream.commit({ ref: 'refs/heads/main', message: 'many files', changes });
  for (const n of [1, 2]) {
    stream.commit({ ref: 'refs/heads/main', message: `commit ${n}`, changes: [{ path: 'last', data: `${n}` }] });
  }
  stream.run(folder);
  return folder;
}

test('killed in the midst of storing: what is there is whole, and what is not is gone', async () => {
  await openFilled({}, largeRepository());
  house.upstream.forbidFetch(name);
  const isHeadWritten = (file: string): boolean => !startOf(file).includes(`pack-bytes ${'0'.repeat(16)}`);
  const moments: readonly ((isNew: (file: string) => boolean) => boolean)[] = [
    () => inTheMaking().length > 0,
    () => inTheMaking().some(isHeadWritten),
    (isNew) => stored().some(isNew),
  ];
  for (const [n, isMoment] of moments.entries()) {
    const before = new Set(stored());
    const isNew = (file: string): boolean => !before.has(file);
    const asking = ask(n + 1).catch(() => undefined);
    // Where a moment is too short to be seen, the next one is.
    while (!isMoment(isNew) && !stored().some(isNew)) await new Promise((resolve) => setImmediate(resolve));
    await house.hotpack.kill9();
    await asking;
    for (const file of stored()) {
      const bytes = readFileSync(file);
      expect(parseAnswerHeader(bytes.subarray(0, headerBytesOf(bytes.subarray(0, 256))), bytes.length)).toBeDefined();
    }
    await house.hotpack.start();
    expect(inTheMaking()).toEqual([]);
    const clone = join(temporaryFolder('clone'), 'clone');
    await git(['clone', '-q', '--bare', `--depth=${n + 1}`, house.hotpack.repository(name), clone]);
    await assertSound(clone);
  }
});

test('another history under the same name, and one that is private now: nothing of before is given', async () => {
  await openFilled({ HOTPACK_ACCESS_TTL: '0', HOTPACK_ACCESS_DENY_TTL: '0' });
  await untilStored(1);
  const authorization = 'Bearer right';
  house.upstream.protect(name, authorization);
  expect((await ask(1)).status).toBe(401);
  await expect.poll(stored, { timeout: 10_000 }).toEqual([]);
  // What upstream gives to who may read it is stored anew.
  expect((await ask(1, { authorization })).source).toBe('upstream');
  await expect.poll(() => stored().length, { timeout: 10_000 }).toBe(1);

  await house.hotpack.mirrorHolds(name, [tip]);

  const folder = house.upstream.folder(name);
  rmSync(folder, { recursive: true });
  cpSync(datedRepository(), folder, { recursive: true });
  const extra = [`http.extraHeader=Authorization: ${authorization}`];
  await git(['ls-remote', '-q', house.hotpack.repository(name)], { config: extra });
  await expect.poll(stored, { timeout: 10_000 }).toEqual([]);
  expect(outcomeOf(await ask(1, { authorization })).error).toMatch(/not our ref/);
});
