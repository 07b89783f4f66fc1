/* oxlint-disable vitest/expect-expect, vitest/valid-title, vitest/require-to-throw-message -- expectAsGit does */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { gitSync } from '../../../support/git.ts';
import { memoryObjectStore, readObjects } from '../../../support/memory-object-store.ts';
import { addHistory, deepChain, emptyRepository, gitBytes, PACK_LAYOUTS } from '../../../support/packed-repository.ts';
import { makeRandomHistory } from '../../../support/random-history.ts';
import { expectAsGit, failure, inChunks, indexByGit, makeDelta, makePack, oidOf, run } from './judge.ts';

function packsOf(folder: string): Buffer[] {
  const packs = join(folder, 'objects/pack');
  return readdirSync(packs)
    .filter((name) => name.endsWith('.pack'))
    .map((name) => readFileSync(join(packs, name)));
}

const blob = (text: string): { type: number; data: Buffer } => ({ type: 3, data: Buffer.from(text) });

describe('idx and rev are what git makes of the same pack', () => {
  for (const [layout, make] of Object.entries(PACK_LAYOUTS)) {
    test(layout, async () => {
      const folder = emptyRepository('layout');
      make(folder);
      const existing = memoryObjectStore(readObjects(folder));
      for (const pack of packsOf(folder)) {
        const { indexed, pack: written } = await expectAsGit(pack, { existing });
        expect(Buffer.from(written).equals(pack)).toBe(true);
        expect(indexed.tailObjects).toBe(0);
        expect(indexed.tailOffset).toBe(pack.length - 20);
        expect(indexed.stats.hashed).toBe(indexed.objects);
      }
    });
  }

  for (const chunkBytes of [1, 7, 65_536]) {
    test(`in chunks of ${chunkBytes}`, async () => {
      const { folder, commits } = makeRandomHistory({ seed: chunkBytes, commits: 60, skewedClocks: false });
      gitSync(['repack', '-adfq', '--depth=30'], { cwd: folder });
      const [pack] = packsOf(folder) as [Buffer];
      const { indexed } = await expectAsGit(pack, { chunkBytes, tips: commits });
      // Deltas kept from the first pass are not inflated again; bases once more.
      expect(indexed.stats.inflated).toBeLessThan(2 * indexed.objects);
    });
  }

  test('with hardly any memory', async () => {
    const folder = emptyRepository('narrow');
    addHistory(folder, { commits: 120 });
    gitSync(['repack', '-adfq', '--depth=200', '--window=200'], { cwd: folder });
    const [pack] = packsOf(folder) as [Buffer];
    for (const memoryBytes of [0, 200_000]) await expectAsGit(pack, { memoryBytes });
  });

  test('an empty pack', async () => {
    const pack = makePack([]);
    const { indexed, pack: written } = await run(pack);
    expect(indexed).toEqual({ kind: 'empty' });
    expect(Buffer.from(written).equals(pack)).toBe(true);
  });

  test('objects that come twice, as objects and as results of deltas', async () => {
    const delta = makeDelta(5, 6, [[0, 5], '!']);
    const twice = [
      blob('twice'),
      blob('other'),
      blob('twice'),
      { type: 6, data: delta, baseEntry: 2 },
      { type: 6, data: delta, baseEntry: 0 },
      blob('twice!'),
    ];
    await expectAsGit(makePack(twice));
    // Where a ref-delta names such an object, git refuses.
    const pack = makePack([...twice, { type: 7, data: delta, baseOid: oidOf('blob', Buffer.from('twice')) }]);
    expect(() => indexByGit(pack)).toThrow('duplicate base');
    expect((await failure(pack)).code).toBe('malformed_pack');
  });

  test('ref-deltas before their bases and chains that mix both kinds', async () => {
    const one = Buffer.from('one');
    const two = Buffer.from('one two');
    const three = Buffer.from('one two three');
    await expectAsGit(
      makePack([
        { type: 7, data: makeDelta(7, 13, [[0, 7], ' three']), baseOid: oidOf('blob', two) },
        { type: 6, data: makeDelta(13, 18, [[0, 13], ' four']), baseEntry: 0 },
        { type: 7, data: makeDelta(3, 7, [[0, 3], ' two']), baseOid: oidOf('blob', one) },
        { type: 7, data: makeDelta(13, 14, [[0, 13], '.']), baseOid: oidOf('blob', three) },
        { type: 3, data: one },
      ]),
    );
  });

  test('a chain of 10,000', async () => {
    const { pack } = deepChain(10_000);
    await expectAsGit(pack);
    await expectAsGit(pack, { memoryBytes: 0 });
  });

  test('a comb of branches with contents that are given up on the way down and derived again', async () => {
    const size = 40_000;
    const entries: { type: number; data: Buffer; baseEntry?: number }[] = [{ type: 3, data: randomBytes(size) }];
    let base = 0;
    for (let n = 0; n < 60; n++) {
      entries.push({ type: 6, data: makeDelta(size, size, [[0, size - 9], `next ${1000 + n}`]), baseEntry: base });
      const next = entries.length - 1;
      entries.push({ type: 6, data: makeDelta(size, size, [[0, size - 9], `side ${1000 + n}`]), baseEntry: base });
      base = next;
    }
    const narrow = await expectAsGit(makePack(entries), { memoryBytes: 1 << 20 });
    expect(narrow.indexed.stats.rederived).toBeGreaterThan(60);
    const wide = await expectAsGit(makePack(entries));
    expect(wide.indexed.stats.rederived).toBe(0);
  });
});

describe('objects larger than memory', () => {
  const large = randomBytes(3 << 20);

  test('are hashed on the way', async () => {
    const { scratchOpened } = await expectAsGit(makePack([{ type: 3, data: large }, blob('small')]), {
      memoryBytes: 1 << 20,
    });
    expect(scratchOpened).toBe(0);
  });

  test('as bases and results of deltas lie in scratch writers', async () => {
    const { scratchOpened } = await expectAsGit(
      makePack([
        { type: 3, data: large },
        { type: 6, data: makeDelta(large.length, large.length + 4, ['head', [0, large.length]]), baseEntry: 0 },
        { type: 6, data: makeDelta(large.length + 4, 12, [[2_000_000, 10], '..']), baseEntry: 1 },
        { type: 6, data: makeDelta(12, 2_000_012, [[0, 12], ...repeated(100_000, 20)]), baseEntry: 2 },
        { type: 6, data: makeDelta(large.length, 5, ['small']), baseEntry: 0 },
      ]),
      { memoryBytes: 1 << 20 },
    );
    expect(scratchOpened).toBeGreaterThan(1);
  });

  test('a tree that fits in no window is looked into, one beyond the bound is refused', async () => {
    const names = Array.from({ length: 4000 }, (_, n) =>
      Buffer.concat([Buffer.from(`100644 file-${100_000 + n}\0`), Buffer.from(oidOf('blob', Buffer.from('x')), 'hex')]),
    );
    const tree = Buffer.concat(names);
    const pack = makePack([{ type: 2, data: tree }, blob('x')]);
    await expectAsGit(pack, { memoryBytes: 4 << 20 });
    const random = Array.from({ length: 4000 }, (_, n) =>
      Buffer.concat([Buffer.from(`100644 file-${100_000 + n}\0`), randomBytes(20)]),
    );
    const incompressible = makePack([{ type: 2, data: Buffer.concat(random) }]);
    expect((await failure(incompressible, { memoryBytes: 4 << 20 })).code).toBe('missing_object');
    expect((await failure(pack, { memoryBytes: 1 << 20 })).code).toBe('limit_exceeded');
  });
});

function repeated(times: number, bytes: number): string[] {
  return Array.from({ length: times }, (_, n) => String(n).padStart(bytes, '-'));
}

describe('thin packs', () => {
  for (const kind of ['ofs', 'ref']) {
    test(`are completed (${kind}-deltas) so that git accepts them`, async () => {
      const folder = emptyRepository('thin');
      addHistory(folder, { commits: 30 });
      const before = gitSync(['rev-parse', 'main'], { cwd: folder });
      const existing = memoryObjectStore(readObjects(folder), { cold: true });
      const copy = emptyRepository('copy');
      gitSync(['fetch', '-q', folder, '+refs/*:refs/*'], { cwd: copy });
      addHistory(folder, { commits: 30, start: 30 });
      const tip = gitSync(['rev-parse', 'main'], { cwd: folder }).trim();
      const thin = gitBytes(
        ['pack-objects', '-q', '--stdout', '--revs', '--thin', ...(kind === 'ofs' ? ['--delta-base-offset'] : [])],
        folder,
        `main\n^${before}`,
      );
      const { indexed, pack } = await expectAsGit(thin, { existing, tips: [tip] });
      expect(indexed.tailObjects).toBeGreaterThan(0);
      expect(indexed.tailOffset).toBe(thin.length - 20);
      // The same objects as git's own completion, beside each other.
      const judged = gitSync(['index-pack', '--stdin', '--fix-thin'], { cwd: copy, input: thin }).trim();
      const names = (text: string): string[] =>
        text
          .split('\n')
          .filter((line) => / (commit|tree|blob|tag) /.test(line))
          .map((line) => line.slice(0, 40))
          .sort();
      const packs = join(copy, 'objects/pack');
      const checksum = judged.split(/\s+/).at(-1) as string;
      const gits = gitSync(['verify-pack', '-v', join(packs, `pack-${checksum}.idx`)]);
      mkdirSync(packs, { recursive: true });
      writeFileSync(join(packs, 'pack-ours.pack'), pack);
      writeFileSync(join(packs, 'pack-ours.idx'), indexed.idx);
      writeFileSync(join(packs, 'pack-ours.rev'), indexed.rev);
      expect(names(gitSync(['verify-pack', '-v', join(packs, 'pack-ours.idx')]))).toEqual(names(gits));
      gitSync(['update-ref', 'refs/heads/main', tip], { cwd: copy });
      gitSync(['fsck', '--strict', '--full'], { cwd: copy });
    });
  }

  test('without the repository that has their bases they are malformed', async () => {
    const folder = emptyRepository('thin');
    addHistory(folder, { commits: 20 });
    const thin = gitBytes(['pack-objects', '-q', '--stdout', '--revs', '--thin'], folder, 'main\n^main~5\n');
    expect((await failure(thin)).code).toBe('malformed_pack');
    const empty = memoryObjectStore({ oids: [], objects: [] });
    expect((await failure(thin, { existing: empty })).code).toBe('malformed_pack');
  });

  test('a base in the repository that is not what its name says is refused', async () => {
    const oid = oidOf('blob', Buffer.from('right'));
    const wrong = memoryObjectStore({ oids: [oid], objects: [{ type: 3, content: Buffer.from('wrong') }] });
    const pack = makePack([{ type: 7, data: makeDelta(5, 6, [[0, 5], '!']), baseOid: oid }]);
    expect((await failure(pack, { existing: wrong })).code).toBe('malformed_pack');
  });
});

describe('connectivity', () => {
  const absent = '1234567890'.repeat(4);
  const file = Buffer.from('content');
  const tree = Buffer.concat([Buffer.from('100644 f\0'), Buffer.from(oidOf('blob', file), 'hex')]);
  const commit = Buffer.from(`tree ${oidOf('tree', tree)}\nauthor a <a> 0 +0000\ncommitter a <a> 0 +0000\n\n`);
  const whole = [
    { type: 1, data: commit },
    { type: 2, data: tree },
    { type: 3, data: file },
  ];

  test('each link must be in the pack or in the repository', async () => {
    await expectAsGit(makePack(whole));
    for (const [left, oid] of [
      [1, oidOf('tree', tree)],
      [2, oidOf('blob', file)],
    ] as const) {
      const rest = whole.filter((_, n) => n !== left);
      const error = await failure(makePack(rest));
      expect(error).toMatchObject({ code: 'missing_object', detail: { oid } });
      const entry = whole[left] as { type: number; data: Buffer };
      const existing = memoryObjectStore({ oids: [oid], objects: [{ type: entry.type as 2, content: entry.data }] });
      await expectAsGit(makePack(rest), { existing });
    }
  });

  test('of a commit parents, of a tag its object, and tips; a gitlink is no link', async () => {
    const child = Buffer.from(commit.toString().replace('\n', `\nparent ${absent}\n`));
    const tag = Buffer.from(`object ${absent}\ntype commit\ntag t\ntagger a <a> 0 +0000\n\n`);
    const module = Buffer.concat([Buffer.from('160000 m\0'), Buffer.from(absent, 'hex')]);
    const missing = { code: 'missing_object', detail: { oid: absent } };
    expect(await failure(makePack([...whole, { type: 1, data: child }]))).toMatchObject(missing);
    expect(await failure(makePack([...whole, { type: 4, data: tag }]))).toMatchObject(missing);
    expect(await failure(makePack(whole), { tips: [oidOf('commit', commit), absent] })).toMatchObject(missing);
    expect(await failure(makePack([]), { tips: [absent] })).toMatchObject(missing);
    await expectAsGit(makePack([...whole, { type: 2, data: module }]), { tips: [oidOf('commit', commit)] });
  });

  test('a link in an object that a delta makes counts', async () => {
    const lost = Buffer.from(commit.toString().replace('\n', `\nparent ${absent}\n`));
    const at = commit.indexOf('\n') + 1;
    const delta = makeDelta(commit.length, lost.length, [[0, at], `parent ${absent}\n`, [at, commit.length - at]]);
    const error = await failure(makePack([...whole, { type: 6, data: delta, baseEntry: 0 }]));
    expect(error).toMatchObject({ code: 'missing_object', detail: { oid: absent } });
  });

  test('more missing names than the pack has objects', async () => {
    const names = Array.from({ length: 5000 }, (_, n) =>
      Buffer.concat([Buffer.from(`100644 ${n}\0`), randomBytes(20)]),
    );
    expect((await failure(makePack([{ type: 2, data: Buffer.concat(names) }]))).code).toBe('missing_object');
  });
});

describe('a caller that gives up', () => {
  test('is heard while the source hangs and while deltas are resolved', async () => {
    const { pack } = deepChain(3000);
    const hanging = new AbortController();
    async function* source(): AsyncGenerator<Uint8Array, void> {
      yield pack.subarray(0, 100);
      await new Promise(() => undefined);
    }
    setTimeout(() => hanging.abort(), 5);
    expect((await failure(pack, { chunks: source(), signal: hanging.signal })).code).toBe('aborted');
    const late = new AbortController();
    const onProgress = (progress: { receivedBytes: number }): void => {
      if (progress.receivedBytes === pack.length) late.abort();
    };
    const many = [
      blob('base'),
      ...Array.from({ length: 30_000 }, (_, n) => ({
        type: 6,
        data: makeDelta(4, 8, [[0, 4], String(1000 + (n % 9000))]),
        baseEntry: 0,
      })),
    ];
    const wide = makePack(many);
    const atOnce = (progress: { receivedBytes: number }): void => {
      if (progress.receivedBytes > wide.length / 2) late.abort();
      onProgress(progress);
    };
    expect(
      (await failure(wide, { chunks: inChunks(wide, 1 << 20), onProgress: atOnce, signal: late.signal })).code,
    ).toBe('aborted');
  });

  test('errors of the source come through', async () => {
    async function* source(): AsyncGenerator<Uint8Array, void> {
      yield await Promise.resolve(new Uint8Array(3));
      throw new TypeError('the network');
    }
    await expect(run(new Uint8Array(0), { chunks: source() })).rejects.toThrow('the network');
  });
});
