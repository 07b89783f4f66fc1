import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import type { CheckResult, RepackParams, RepackResult } from '../../../../src/mirror/tasks.ts';
import { runPackTask, type WrittenPack } from '../../../../src/mirror/tasks.ts';
import type { Storage } from '../../../../src/storage/contract.ts';
import { openFsStorage } from '../../../../src/storage/drivers/fs.ts';
import { FastImport } from '../../../support/fast-import.ts';
import { gitSync, temporaryFolder } from '../../../support/git.ts';
import { addHistory, emptyRepository } from '../../../support/packed-repository.ts';
import { noise, revision } from '../../../support/repositories.ts';
import { keysOf } from '../fake-upstream.ts';
import { KEY, never, once, PACK_FOLDER, randomPackName, takeInPack } from './packs-at-rest.ts';

let upstream: string;
let storage: Storage;
let mirror: string;
/** main and a branch that is let go, then what came of main since, then a pull request's commits. */
let packs: WrittenPack[];
let tips: { main: string; gone: string; pull: string };
const CLOSED_PACKS = 2;

function side(ref: string, commits: number): string {
  const stream = new FastImport(1_700_000_000);
  for (let n = 0; n < commits; n++) {
    const text = gitSync(['show', 'main:src/deep/main.txt'], { cwd: upstream });
    const changes = [
      { path: 'src/deep/main.txt', data: `${text}${ref} ${n}\n` },
      { path: `${ref}/${n}.bin`, data: noise(`${ref}${n}`, 4000) },
    ];
    stream.commit({ ref, message: `${ref} ${n}\n`, changes, ...(n === 0 ? { from: 'refs/heads/main^0' } : {}) });
  }
  stream.run(upstream);
  return revision(upstream, ref);
}

beforeAll(async () => {
  upstream = emptyRepository('repack');
  addHistory(upstream, { commits: 30 });
  const gone = side('refs/heads/gone', 40);
  const root = temporaryFolder('store');
  storage = await openFsStorage({ folder: root });
  mirror = join(root, 'mirrors', KEY);
  const first = revision(upstream, 'main');
  packs = [await takeInPack(storage, upstream, { revisions: `${first}\n${gone}\n`, existing: [] })];
  const take = async (tip: string, ...before: string[]): Promise<void> => {
    const revisions = [tip, ...before.map((oid) => `^${oid}`)].join('\n');
    packs.push(await takeInPack(storage, upstream, { revisions, existing: packs.map((pack) => pack.packName) }));
  };
  addHistory(upstream, { commits: 5, start: 30 });
  const main = revision(upstream, 'main');
  await take(main, first, gone);
  const pull = side('refs/pull/1/head', 6);
  await take(pull, main, gone);
  tips = { main, gone, pull };
});

function params(changes: Partial<RepackParams> = {}): RepackParams {
  return {
    kind: 'repack',
    packFolder: PACK_FOLDER,
    sources: packs.map(({ packName: name, tailOffset }) => ({ name, tailOffset })),
    closedPacks: CLOSED_PACKS,
    branchTips: [tips.main],
    otherTips: [tips.pull],
    leastShare: 1 / 3,
    names: { branches: randomPackName(), others: randomPackName() },
    memoryBytes: 4 << 20,
    ...changes,
  };
}

function repack(changes: Partial<RepackParams> = {}, signal = never): Promise<RepackResult> {
  return runPackTask(storage, params(changes), once(new Uint8Array()), signal);
}

const fileOf = ({ packName }: WrittenPack, kind: string): string =>
  join(mirror, 'objects', 'pack', `${packName}.${kind}`);

function check(names: readonly string[], closedPacks: number, checked: readonly string[]): Promise<CheckResult> {
  const task = { kind: 'check', packFolder: PACK_FOLDER, packs: names, closedPacks, checked } as const;
  return runPackTask(storage, { ...task, memoryBytes: 1 << 20 }, once(new Uint8Array()), never);
}

/** What git makes of the pack: its files are byte-equal, every entry is what its name says, and of branches it stands by itself. */
function judged(
  pack: WrittenPack,
  of: 'branches' | 'others' = 'branches',
): { readonly body: string[]; readonly tail: string[]; readonly deltas: number } {
  const copy = join(temporaryFolder('judge'), 'check.idx');
  const strict = of === 'branches' ? ['--strict'] : [];
  gitSync(['index-pack', '--rev-index', ...strict, '-o', copy, fileOf(pack, 'pack')]);
  for (const kind of ['idx', 'rev']) {
    const same = readFileSync(copy.replace(/idx$/, kind)).equals(readFileSync(fileOf(pack, kind)));
    expect({ kind, same }).toEqual({ kind, same: true });
  }
  const rows = gitSync(['verify-pack', '-v', fileOf(pack, 'idx')])
    .split('\n')
    .filter((line) => /^[0-9a-f]{40} /.test(line))
    .map((line) => line.split(/ +/));
  const named = (isTail: boolean): string[] =>
    rows.filter((row) => Number(row[4]) >= pack.tailOffset === isTail).map((row) => row[0] as string);
  expect(named(true).length).toBe(pack.tailObjects);
  return { body: named(false).toSorted(), tail: named(true), deltas: rows.filter((row) => row.length > 5).length };
}

function reachable(...revisions: string[]): string[] {
  const list = gitSync(['rev-list', '--objects', '--no-object-names', ...revisions], { cwd: upstream });
  return list.trim().split('\n').toSorted();
}

describe('packs are written anew', () => {
  test('as exactly what branches reach, and what else is to stay, with the deltas that they had', async () => {
    const result = await repack();
    if (result.kind !== 'repacked' || result.others === undefined) throw new Error('two packs are due');
    const branches = judged(result.branches);
    expect(branches.body).toEqual(reachable(tips.main));
    expect(branches.tail).toEqual([]);
    expect(branches.deltas).toBeGreaterThan(20);
    const others = judged(result.others, 'others');
    expect(others.body).toEqual(reachable(tips.pull, `^${tips.main}`));
    // What it is built on is there once more, as in the thin pack that it came in.
    expect(others.tail.length).toBeGreaterThan(0);
    expect(branches.body).toEqual(expect.arrayContaining(others.tail));
    const [kept, all] = [result.branches, packs[0] as WrittenPack];
    expect(kept.packBytes).toBeLessThan(all.packBytes / 2);
    const names = [result.branches.packName, result.others.packName];
    expect(await check(names, 1, names)).toEqual({ kind: 'closed' });
    // Nothing is out of its place any more.
    const sources = [result.branches, result.others].map(({ packName: name, tailOffset }) => ({ name, tailOffset }));
    expect(await repack({ sources, closedPacks: 1, leastShare: 0 })).toEqual({ kind: 'spared' });
  });

  test('in one pack where nothing else is to stay', async () => {
    const result = await repack({ otherTips: ['e'.repeat(40)] });
    if (result.kind !== 'repacked') throw new Error('a pack is due');
    expect(result.others).toBeUndefined();
    expect(judged(result.branches).body).toEqual(reachable(tips.main));
  });

  test('what is needed by others alone leaves the pack of the branches', async () => {
    const [first] = packs as [WrittenPack];
    const sources = [{ name: first.packName, tailOffset: first.tailOffset }];
    const before = gitSync(['rev-parse', `${tips.main}~5`], { cwd: upstream }).trim();
    const roots = { branchTips: [before], otherTips: [tips.gone] };
    const result = await repack({ sources, closedPacks: 1, leastShare: 0, ...roots });
    if (result.kind !== 'repacked' || result.others === undefined) throw new Error('two packs are due');
    expect(judged(result.branches).body).toEqual(reachable(before));
    expect(judged(result.others, 'others').body).toEqual(reachable(tips.gone, `^${before}`));
  });

  test.each([
    ['all is needed where it lies', { branchTips: () => [tips.main, tips.gone], leastShare: 0 }],
    ['little is not', { branchTips: () => [tips.main], leastShare: 0.99 }],
    ['no branch is here', { branchTips: () => ['e'.repeat(40)], leastShare: 0 }],
  ])('but not where %s', async (_, { branchTips, leastShare }) => {
    const keys = await keysOf(storage, `${PACK_FOLDER}/`);
    expect(await repack({ branchTips: branchTips(), leastShare })).toEqual({ kind: 'spared' });
    expect(await keysOf(storage, `${PACK_FOLDER}/`)).toEqual(keys);
  });

  test.each([1, 2, 3, 4])('and nothing is left where it ends at file %i', async (last) => {
    const keys = await keysOf(storage, `${PACK_FOLDER}/`);
    const leaving = new AbortController();
    let files = 0;
    const open = storage.openWriter.bind(storage);
    const writing = vi.spyOn(storage, 'openWriter').mockImplementation(async (key, signal) => {
      if (++files === last) leaving.abort();
      return open(key, signal);
    });
    await expect(repack({}, leaving.signal)).rejects.toMatchObject({ code: 'aborted' });
    writing.mockRestore();
    expect(await keysOf(storage, `${PACK_FOLDER}/`)).toEqual(keys);
  });
});

describe('a pack that came meanwhile', () => {
  test('is known to lean on what is gone', async () => {
    const [base, , pull] = packs.map((pack) => pack.packName) as [string, string, string];
    expect(
      await check(
        packs.map((pack) => pack.packName),
        CLOSED_PACKS,
        [pull],
      ),
    ).toEqual({ kind: 'closed' });
    expect(await check([base, pull], 1, [pull])).toEqual({ kind: 'open' });
  });

  test('of branches may not lean on packs of others', async () => {
    const [base, second, pull] = packs.map((pack) => pack.packName) as [string, string, string];
    expect(await check([base, second, pull], 3, [pull])).toEqual({ kind: 'closed' });
    expect(await check([base, pull, second], 2, [pull])).toEqual({ kind: 'open' });
  });
});
