import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import type { Publication } from '../../../src/mirror/catalog/edits.ts';
import { Catalog } from '../../../src/mirror/catalog/catalog.ts';
import { emptyManifest, parseManifest, writeManifest } from '../../../src/mirror/catalog/manifest.ts';
import type { PackRecord } from '../../../src/mirror/catalog/manifest.ts';
import { LocalCopy } from '../../../src/mirror/copy/local-copy.ts';
import { mirrorKeys, packKeys } from '../../../src/mirror/keys.ts';
import { parseHead, parsePackedRefs, writeHead, writePackedRefs } from '../../../src/mirror/refs/held-refs.ts';
import { runPackTask } from '../../../src/mirror/tasks.ts';
import { bytesFromText, textFromBytes } from '../../../src/protocol/pkt-line/text.ts';
import type { Storage } from '../../../src/storage/contract.ts';
import { openFsStorage } from '../../../src/storage/drivers/fs.ts';
import { createMemoryStorage } from '../../../src/storage/drivers/memory.ts';
import { gitSync, temporaryFolder } from '../../support/git.ts';
import { gitBytes } from '../../support/packed-repository.ts';
import { datedRepository, revision } from '../../support/repositories.ts';
import { keysOf, refsOf } from './fake-upstream.ts';

const KEY = 'up/a/b.git';
const never = new AbortController().signal;
const folder = datedRepository();
const tip = revision(folder, 'refs/heads/main');

/** A pack with what `revisions` reach, at rest and in no manifest. */
async function packAtRest(
  storage: Storage,
  name: string,
  revisions: string,
  existing: string[] = [],
): Promise<PackRecord> {
  const pack = new Uint8Array(gitBytes(['pack-objects', '--revs', '--stdout', '-q'], folder, revisions));
  const result = await runPackTask(
    storage,
    {
      kind: 'ingest',
      packFolder: mirrorKeys(KEY).packFolder,
      packName: `pack-${name.repeat(40)}`,
      existing,
      tips: [],
      memoryBytes: 8 << 20,
    },
    (async function* () {
      yield pack;
    })(),
    never,
  );
  if (result.kind === 'empty') throw new Error('an empty pack');
  const { kind: _, packName, ...rest } = result;
  return { name: packName, ...rest, class: 'branches', pushes: 1 };
}

function copyOver(storage: Storage, clock = { nowMs: 1000 }) {
  const damages: unknown[] = [];
  const options = { storage, repositoryKey: KEY, cacheBytes: 1 << 20, threads: undefined, onStored() {} };
  const makeRoom = (): never => {
    throw new Error('there is room');
  };
  return {
    copy: new LocalCopy({ ...options, now: () => clock.nowMs, makeRoom, onDamage: (error) => damages.push(error) }),
    clock,
    damages,
  };
}

const publication = (pack: PackRecord, builtOn: readonly string[] = []): Publication => ({
  pack,
  builtOn,
  strays: (current) => current,
  visibility: 'public',
});

async function namesOpen(copy: LocalCopy): Promise<string[] | undefined> {
  const snapshot = await copy.snapshot();
  snapshot?.release();
  return snapshot?.manifest.packs.map((pack) => pack.name[5] as string);
}

describe('the manifest', () => {
  test('is read as it was written, and never written twice alike', () => {
    const manifest = emptyManifest('private', 5);
    expect(parseManifest(writeManifest(manifest))).toEqual(manifest);
    expect(writeManifest(manifest)).not.toEqual(writeManifest(manifest));
  });

  test.each([
    '',
    '{',
    '[]',
    '{"format":2}',
    JSON.stringify({ format: 1, ...emptyManifest('public', 1), nonce: '', packs: [{ name: '../x' }] }),
  ])('is not taken from %s', (text) => {
    expect(() => parseManifest(new TextEncoder().encode(text))).toThrow(
      expect.objectContaining({ code: 'storage_unavailable' }),
    );
  });

  test('of writers that race each one comes through once', async () => {
    const catalog = new Catalog(createMemoryStorage(), 'm');
    const swaps = Array.from({ length: 15 }, (_, n) =>
      catalog.swap((current = emptyManifest('public', 0)) => ({
        ...current,
        garbage: [...current.garbage, { name: `pack-${String(n).padStart(40, '0')}`, sinceMs: n }],
      })),
    );
    await Promise.all(swaps);
    expect(new Set((await catalog.read())?.garbage.map((one) => one.sinceMs)).size).toBe(15);
  });

  test('that is lost at every try is an error, and nothing is replaced where the edit says so', async () => {
    const storage = createMemoryStorage();
    const catalog = new Catalog(storage, 'm');
    expect(await catalog.swap(() => undefined)).toBeUndefined();
    expect(await keysOf(storage)).toEqual([]);
    const lost = vi.spyOn(storage, 'replaceDocument').mockResolvedValue({ kind: 'lost' });
    await expect(catalog.swap(() => emptyManifest('public', 0))).rejects.toMatchObject({ code: 'storage_unavailable' });
    expect(lost).toHaveBeenCalledTimes(20);
  });
});

describe('publishing', () => {
  test('two at once both come in, and who reads meanwhile keeps what he had', async () => {
    const storage = createMemoryStorage();
    const { copy } = copyOver(storage);
    await copy.publish(publication(await packAtRest(storage, 'a', `${tip}~2\n`)), never);
    const before = await copy.snapshot();
    const b = await packAtRest(storage, 'b', `${tip}~1\n^${tip}~2\n`, [`pack-${'a'.repeat(40)}`]);
    const c = await packAtRest(storage, 'c', `${tip}\n^${tip}~2\n`, [`pack-${'a'.repeat(40)}`]);
    await Promise.all([
      copy.publish(publication(b), never),
      copy.publish(publication(c), never),
      copy.writeHeld(refsOf(folder)),
    ]);
    expect(await namesOpen(copy)).toEqual(['a', 'b', 'c']);
    expect(before?.store.find(tip)).toBe(-1);
    const object = before!.store.find(revision(folder, `${tip}~2`));
    expect((await before!.store.read(object)).content.length).toBeGreaterThan(0);
    before!.release();
  });

  test('what is built on a pack that is gone is stale; its files go', async () => {
    const storage = createMemoryStorage();
    const { copy } = copyOver(storage);
    const other = copyOver(storage).copy;
    await copy.publish(publication(await packAtRest(storage, 'a', `${tip}~1\n`)), never);
    const a = `pack-${'a'.repeat(40)}`;
    const b = await packAtRest(storage, 'b', `${tip}\n^${tip}~1\n`, [a]);
    await other.reset('public');
    expect(await copy.publish(publication(b, [a]), never)).toBe('stale');
    expect((await keysOf(storage)).filter((key) => key.includes('bbbb'))).toEqual([]);
    // And what is open here is looked at anew.
    expect(await namesOpen(copy)).toBeUndefined();
  });

  test('where there are too many packs it waits for room, and leaves nothing where none can be made', async () => {
    const storage = createMemoryStorage();
    const { copy } = copyOver(storage);
    const record = await packAtRest(storage, 'a', `${tip}~1\n`);
    const many = Array.from({ length: 20 }, (_, n) => ({ ...record, name: `pack-${String(n).padStart(40, '0')}` }));
    await new Catalog(storage, copy.keys.manifest).swap(() => ({ ...emptyManifest('public', 0), packs: many }));
    const late = publication(await packAtRest(storage, 'b', `${tip}\n`));
    await expect(copy.publish(late, never)).rejects.toThrow('there is room');
    expect((await keysOf(storage)).filter((key) => key.includes('bbbb'))).toEqual([]);
  });

  test('an opening that fails is tried again', async () => {
    const storage = createMemoryStorage();
    await copyOver(storage).copy.publish(publication(await packAtRest(storage, 'a', `${tip}\n`)), never);
    const { copy } = copyOver(storage);
    const down = vi.spyOn(storage, 'open').mockRejectedValueOnce(new Error('down'));
    await expect(copy.snapshot()).rejects.toThrow('down');
    expect(await namesOpen(copy)).toEqual(['a']);
    expect(down).toHaveBeenCalledTimes(2);
  });

  test('who changes and closes at random never leaves closed packs behind', async () => {
    const storage = createMemoryStorage();
    const { copy } = copyOver(storage);
    await copy.publish(publication(await packAtRest(storage, 'a', `${tip}~1\n`)), never);
    const held = refsOf(folder);
    for (let n = 0; n < 30; n++) {
      const work = [
        copy.noteVisibility('public'),
        copy.writeHeld(held),
        n % 3 === 0 ? copy.close() : copy.collectGarbage(),
        copy.publish({ builtOn: [], strays: () => [{ oid: tip, confirmedAtMs: n }], visibility: 'public' }, never),
        namesOpen(copy),
      ];
      await Promise.all(work);
      expect(await namesOpen(copy)).toEqual(['a']);
    }
  });
});

describe('damage and reset', () => {
  test.each(['pack', 'idx'] as const)('a mirror whose %s is gone is emptied, and said so once', async (kind) => {
    const storage = createMemoryStorage();
    const first = copyOver(storage).copy;
    await first.publish(publication(await packAtRest(storage, 'a', `${tip}\n`)), never);
    await first.writeHeld(refsOf(folder));
    await storage.delete([packKeys(first.keys.packFolder, `pack-${'a'.repeat(40)}`)[kind]]);
    const { copy, damages } = copyOver(storage);
    expect(await copy.snapshot()).toBeUndefined();
    expect(await copy.snapshot()).toBeUndefined();
    expect(damages).toHaveLength(1);
  });

  test('an idx that is another file is damage', async () => {
    const storage = createMemoryStorage();
    const first = copyOver(storage).copy;
    await first.publish(publication(await packAtRest(storage, 'a', `${tip}\n`)), never);
    await storage.put(packKeys(first.keys.packFolder, `pack-${'a'.repeat(40)}`).idx, new Uint8Array(2000));
    const { copy, damages } = copyOver(storage);
    expect(await copy.snapshot()).toBeUndefined();
    expect(damages).toHaveLength(1);
  });

  test.each([
    ['public', 'private'],
    ['private', 'public'],
  ] as const)('from %s to %s it starts empty, open or not', async (before, after) => {
    for (const isOpen of [true, false]) {
      const storage = createMemoryStorage();
      const { copy } = copyOver(storage);
      const pack = await packAtRest(storage, 'a', `${tip}\n`);
      await copy.publish({ ...publication(pack), visibility: 'unknown' }, never);
      expect(await copy.noteVisibility(before)).toBe('same');
      if (!isOpen) await copy.close();
      expect(await copy.noteVisibility(after)).toBe(isOpen ? 'reset' : 'same');
      expect(await copy.snapshot()).toBeUndefined();
      expect(await copy.noteVisibility(before)).toBe('same');
    }
  });

  test('files of what was let go stay for a day and are then removed', async () => {
    const storage = createMemoryStorage();
    const { copy, clock } = copyOver(storage);
    await copy.publish(publication(await packAtRest(storage, 'a', `${tip}\n`)), never);
    const reader = await copy.snapshot();
    await copy.reset('public');
    const packs = async () => (await keysOf(storage)).filter((key) => key.includes('/pack-')).length;
    clock.nowMs += 86_399_999;
    await copy.collectGarbage();
    expect(await packs()).toBe(3);
    expect((await reader!.store.read(reader!.store.find(tip))).content.length).toBeGreaterThan(0);
    reader!.release();
    clock.nowMs += 1;
    await copy.collectGarbage();
    expect(await packs()).toBe(0);
    const left = await new Catalog(storage, copy.keys.manifest).read();
    expect(left).toMatchObject({ packs: [], garbage: [] });
  });
});

test('git takes the mirror for a repository after every step', async () => {
  const root = temporaryFolder('store');
  const storage = await openFsStorage({ folder: root });
  const { copy, clock } = copyOver(storage);
  const mirror = join(root, 'mirrors', KEY);
  const fsck = (): string => gitSync(['fsck', '--full', '--strict'], { cwd: mirror });
  const a = `pack-${'a'.repeat(40)}`;
  await copy.publish(publication(await packAtRest(storage, 'a', `${tip}~1\n`)), never);
  fsck();
  const all = gitSync(['for-each-ref', '--format=%(objectname)'], { cwd: folder });
  await copy.publish(publication(await packAtRest(storage, 'b', `${all}^${tip}~1\n`, [a]), [a]), never);
  fsck();
  await copy.writeHeld(refsOf(folder));
  fsck();
  const shown = (cwd: string): string =>
    gitSync(['for-each-ref', '--format=%(objectname) %(refname) %(*objectname)'], { cwd });
  expect(shown(mirror)).toBe(shown(folder));
  expect(gitSync(['rev-list', '--objects', '--all', '--count'], { cwd: mirror })).toBe(
    gitSync(['rev-list', '--objects', '--all', '--count'], { cwd: folder }),
  );
  await copy.reset('public');
  fsck();
  expect(shown(mirror)).toBe('');
  await copy.publish(publication(await packAtRest(storage, 'c', all)), never);
  await copy.writeHeld(refsOf(folder));
  clock.nowMs += 86_400_000;
  await copy.collectGarbage();
  fsck();
  expect(shown(mirror)).toBe(shown(folder));
  expect(existsSync(join(mirror, 'objects', 'pack', `${a}.pack`))).toBe(false);
  await storage.close();
});

test("git finds every name of packed-refs, in its own order, and ours are git's", () => {
  const mirror = join(temporaryFolder('refs'), 'r.git');
  gitSync(['clone', '-q', '--bare', folder, mirror]);
  const raw = Buffer.from('refs/heads/caf\xe9', 'latin1');
  const names = [
    'refs/heads/a',
    'refs/heads/a-b',
    'refs/heads/a.b',
    'refs/heads/ä',
    'refs/heads/\ue000',
    'refs/heads/😀',
    'refs/heads/Z',
    'refs/tags/v1',
    'refs/tags/v1.lockx',
    'refs/x/@',
    'refs/heads/#1',
    'refs/heads/a,b',
    "refs/heads/it's",
    textFromBytes(raw),
  ];
  const unsafe = [
    'refs/heads/a..b',
    'refs/heads/x.lock',
    'refs/heads/.x',
    'refs/heads/a b',
    'refs/heads/a\nb',
    'x/y',
    'refs/heads/',
    'refs/heads/a//b',
    'refs/../x',
    'refs/heads/a^b',
  ];
  const refs = [...names, ...unsafe].map((name) => ({ name, oid: tip }));
  mkdirSync(mirror, { recursive: true });
  const written = writePackedRefs(refs);
  writeFileSync(join(mirror, 'packed-refs'), written);
  const seen = textFromBytes(gitBytes(['for-each-ref', '--format=%(refname)'], mirror))
    .trim()
    .split('\n');
  expect(seen).toEqual(parsePackedRefs(written).map((ref) => ref.name));
  expect(new Set(seen)).toEqual(new Set(names));
  for (const name of names) {
    if (name.isWellFormed()) expect(revision(mirror, name)).toBe(tip);
  }
});

test.each([
  [
    { kind: 'symref', target: 'refs/heads/main', oid: tip },
    { kind: 'symref', target: 'refs/heads/main', oid: tip },
  ],
  [
    { kind: 'detached', oid: tip },
    { kind: 'detached', oid: tip },
  ],
  [
    { kind: 'unborn', target: 'refs/heads/next' },
    { kind: 'unborn', target: 'refs/heads/next' },
  ],
  [{ kind: 'absent' }, { kind: 'symref', target: 'refs/heads/main', oid: tip }],
] as const)('HEAD %j comes back as %j', (head, back) => {
  const refs = [{ name: 'refs/heads/main', oid: tip }];
  expect(parseHead(writeHead(head), refs)).toEqual(back);
  expect(parseHead(bytesFromText('nonsense\n'), refs)).toEqual({ kind: 'absent' });
});
