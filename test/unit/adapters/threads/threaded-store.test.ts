/** Work on open packs in real threads: the same answers as in place, no faster than they are taken, and nothing left behind. */
import { createHash } from 'node:crypto';
import { cpSync, readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createPackThreads, type PackThreadPool } from '../../../../adapters/threads/pack-threads.ts';
import { openStoreWork } from '../../../../src/mirror/copy/open-work.ts';
import { openPackSources } from '../../../../src/mirror/copy/packs.ts';
import type { OpenStoreWork, StorePlace } from '../../../../src/mirror/tasks.ts';
import type { SelectionQuery } from '../../../../src/pack/selection.ts';
import type { AskedPack, PackEnd, PackHead, StoreWork } from '../../../../src/pack/work/store-work.ts';
import { openFsStorage } from '../../../../src/storage/drivers/fs.ts';
import { gitSync, temporaryFolder } from '../../../support/git.ts';
import { addHistory, emptyRepository } from '../../../support/packed-repository.ts';

const PACK_FOLDER = 'mirrors/up/a/b.git/objects/pack';
const WINDOW_BYTES = 2 ** 20;
/** Of the fixture. */
const CHUNK_BYTES = 2 ** 18;
const REAL = new URL('../../../../adapters/threads/pack-thread.ts', import.meta.url);
const ENDLESS = new URL('./store-thread-fixture.ts', import.meta.url);
const { signal } = new AbortController();

const pools: PackThreadPool[] = [];
afterEach(async () => {
  await Promise.all(pools.splice(0).map((pool) => pool.close()));
});

function threads(entry: URL, folder = '/nowhere', lost: Error[] = []): PackThreadPool {
  const storage = { kind: 'fs', folder } as const;
  const caching = { memoryBytes: 0, disk: undefined };
  const onLost = (error: Error): void => void lost.push(error);
  const readsInPlace = true;
  const pool = createPackThreads({ entry, storage, caching, readsInPlace, threads: 1, servingThreads: 1, onLost });
  pools.push(pool);
  return pool;
}

function query(parts: Partial<SelectionQuery>): SelectionQuery {
  const nothing = { wants: [], haves: [], shallows: [], includeTags: [] } as const;
  return { ...nothing, deepen: { kind: 'none' }, filter: { kind: 'none' }, thin: false, ...parts };
}

/** The packs of a repository as those of a mirror in `folder`. */
async function atRest(repository: string, folder: string): Promise<StorePlace> {
  const packs = join(repository, 'objects/pack');
  cpSync(packs, join(folder, PACK_FOLDER), { recursive: true });
  const names = readdirSync(packs).flatMap((file) => (file.endsWith('.pack') ? [file.replace('.pack', '')] : []));
  const storage = await openFsStorage({ folder });
  const { sources, close } = await openPackSources(storage, { folder: PACK_FOLDER, names, sharesTables: true });
  const tables = sources.map(({ table }) => table.parts);
  await close();
  await storage.close();
  return { packFolder: PACK_FOLDER, tables, closedPacks: 0, cacheBytes: 2 ** 22 };
}

interface MadePack {
  readonly head: Omit<PackHead, 'walked'>;
  readonly bytes: number;
  readonly sha1: string;
  readonly end: PackEnd;
}

/** How much is walked depends on what was walked before. */
async function made(work: StoreWork, asked: AskedPack): Promise<MadePack> {
  const { head, chunks } = await work.makePack(asked, signal);
  const { walked: _, ...known } = head;
  const sha1 = createHash('sha1');
  let bytes = 0;
  for (;;) {
    const { done, value } = await chunks.next();
    if (done === true) return { head: known, bytes, sha1: sha1.digest('hex'), end: value };
    sha1.update(value);
    bytes += value.length;
  }
}

describe('real packs', () => {
  let repository: string;
  let folder: string;
  let place: StorePlace;
  const name = (revision: string): string => gitSync(['rev-parse', revision], { cwd: repository }).trim();

  beforeAll(async () => {
    repository = emptyRepository('threads');
    addHistory(repository, { commits: 60 });
    gitSync(['repack', '-adq'], { cwd: repository });
    addHistory(repository, { commits: 20, start: 60 });
    gitSync(['repack', '-dq'], { cwd: repository });
    folder = temporaryFolder('store');
    place = await atRest(repository, folder);
  }, 60_000);

  async function both(use: (inPlace: StoreWork, threaded: OpenStoreWork) => Promise<void>): Promise<void> {
    const storage = await openFsStorage({ folder });
    const inPlace = await openStoreWork(storage, place);
    try {
      await use(inPlace, threads(REAL, folder).openStore(place));
    } finally {
      await inPlace.close();
      await storage.close();
    }
  }

  test('tables lie in memory that threads share', () => {
    for (const { idx, order, positions, starts } of place.tables) {
      for (const table of [idx, order, positions, starts]) expect(table.buffer).toBeInstanceOf(SharedArrayBuffer);
    }
  });

  test('packs are the same to the byte, also when they are made again', async () => {
    const tip = name('main');
    const asked: readonly AskedPack[] = [
      { query: query({ wants: [tip] }), ofsDelta: true },
      { query: query({ wants: [tip] }), ofsDelta: false },
      { query: query({ wants: [tip], deepen: { kind: 'depth', depth: 1, relative: false } }), ofsDelta: true },
      { query: query({ wants: [tip], filter: { kind: 'blob-none' } }), ofsDelta: true },
      { query: query({ wants: [tip], haves: [name('main~7')], thin: true }), ofsDelta: true },
    ];
    await both(async (inPlace, threaded) => {
      for (const one of asked) {
        const ours = await made(inPlace, one);
        expect(ours.bytes).toBeGreaterThan(100);
        expect(await made(threaded, one)).toEqual(ours);
        expect(await made(threaded, one)).toEqual(ours);
      }
    });
  });

  test('what the thread keeps of a pack stays its own', async () => {
    const small = emptyRepository('small');
    addHistory(small, { commits: 5 });
    gitSync(['repack', '-adq'], { cwd: small });
    const at = temporaryFolder('store');
    const work = threads(REAL, at).openStore(await atRest(small, at));
    const wants = gitSync(['for-each-ref', '--format=%(objectname)'], { cwd: small }).trim().split('\n');
    const all = { query: query({ wants }), ofsDelta: true };
    const first = await made(work, all);
    expect(first.end.whole?.packs).toHaveLength(1);
    expect(first.bytes).toBeLessThan(2 ** 17);
    expect(await made(work, all)).toEqual(first);
    expect(await made(work, { ...all, ofsDelta: false })).toMatchObject({ head: { objects: first.head.objects } });
  });

  test('questions have the same answers, and errors keep their codes', async () => {
    const [tip, before] = [name('main'), name('main~7')];
    const depth = query({ wants: [tip], deepen: { kind: 'depth', depth: 3, relative: false } });
    await both(async (inPlace, threaded) => {
      for (const work of [inPlace, threaded]) {
        expect(await work.ask({ kind: 'boundary', query: depth }, signal)).toEqual({
          shallow: [name('main~2')],
          unshallow: [],
        });
        expect(await work.ask({ kind: 'ready', wants: [tip], common: [before] }, signal)).toBe(true);
        expect(await work.ask({ kind: 'ready', wants: [before], common: [tip] }, signal)).toBe(false);
        const reached = { kind: 'reached', tips: [before], targets: [tip, name('main~9')] } as const;
        expect(await work.ask(reached, signal)).toEqual(new Set([name('main~9')]));
        const tree = name('main~9^{tree}');
        const below = { kind: 'below', roots: [before], targets: [tip, tree, '1'.repeat(40)] } as const;
        expect(await work.ask(below, signal)).toEqual(new Set([tree]));
        expect(await work.ask({ kind: 'bitmapped' }, signal)).toBe(false);
        const absent = { query: query({ wants: ['1'.repeat(40)] }), ofsDelta: true };
        await expect(work.makePack(absent, signal)).rejects.toMatchObject({ code: 'not_our_ref' });
      }
    });
  });

  test('packs that are not there fail who asks, until they are', async () => {
    const away = `${folder}.away`;
    renameSync(join(folder, PACK_FOLDER), away);
    const threaded = threads(REAL, folder).openStore(place);
    const question = { kind: 'ready', wants: [name('main')], common: [name('main')] } as const;
    await expect(threaded.ask(question, signal)).rejects.toMatchObject({ code: 'missing_object' });
    renameSync(away, join(folder, PACK_FOLDER));
    expect(await threaded.ask(question, signal)).toBe(true);
  });

  test('packs that go once they are open are read on', async () => {
    const away = `${folder}.away`;
    const threaded = threads(REAL, folder).openStore(place);
    await threaded.ask({ kind: 'bitmapped' }, signal);
    renameSync(join(folder, PACK_FOLDER), away);
    const asked = { query: query({ wants: [name('main')] }), ofsDelta: true };
    expect((await made(threaded, asked)).head.objects).toBeGreaterThan(100);
    renameSync(away, join(folder, PACK_FOLDER));
  });
});

describe('packs without end', () => {
  const PLACE: StorePlace = { packFolder: 'f', tables: [], closedPacks: 0, cacheBytes: 0 };
  const ASKED: AskedPack = { query: query({}), ofsDelta: true };

  async function counts(work: StoreWork): Promise<{ written: number; ended: number; closed: number }> {
    const { shallow, unshallow } = await work.ask({ kind: 'boundary', query: query({}) }, signal);
    return { written: Number(shallow[0]), ended: Number(unshallow[0]), closed: Number(unshallow[1]) };
  }

  test('one that nobody takes is written a window ahead', async () => {
    const work = threads(ENDLESS).openStore(PLACE);
    const pack = await work.makePack(ASKED, signal);
    await expect.poll(async () => (await counts(work)).written).toBe(WINDOW_BYTES / CHUNK_BYTES);
    await pack.chunks.next();
    await expect.poll(async () => (await counts(work)).written).toBe(WINDOW_BYTES / CHUNK_BYTES + 1);
    for (let turn = 0; turn < 50; turn++) await counts(work);
    expect(await counts(work)).toMatchObject({ written: WINDOW_BYTES / CHUNK_BYTES + 1, ended: 0 });
    pack.close();
    await expect.poll(async () => (await counts(work)).ended).toBe(1);
  });

  test('who leaves early ends the making', async () => {
    const work = threads(ENDLESS).openStore(PLACE);
    const pack = await work.makePack(ASKED, signal);
    for await (const chunk of pack.chunks) {
      expect(chunk.byteLength).toBe(CHUNK_BYTES);
      break;
    }
    await expect.poll(async () => (await counts(work)).ended).toBe(1);
  });

  test('an abort fails the chunks, and the thread goes on', async () => {
    const aborter = new AbortController();
    const work = threads(ENDLESS).openStore(PLACE);
    const { chunks } = await work.makePack(ASKED, aborter.signal);
    await chunks.next();
    aborter.abort();
    const reading = (async () => {
      for await (const _ of chunks);
    })();
    await expect(reading).rejects.toMatchObject({ code: 'aborted' });
    await expect.poll(async () => (await counts(work)).ended).toBe(1);
    await expect(work.makePack(ASKED, AbortSignal.abort())).rejects.toMatchObject({ code: 'aborted' });
  });

  test('a thread that dies fails what it was at, and another one opens the packs anew', async () => {
    const lost: Error[] = [];
    const work = threads(ENDLESS, '/nowhere', lost).openStore(PLACE);
    const { chunks } = await work.makePack(ASKED, signal);
    const asking = work.ask({ kind: 'ready', wants: [], common: [] }, signal);
    await expect(asking).rejects.toThrow(/thread ended/);
    const reading = (async () => {
      for await (const _ of chunks);
    })();
    await expect(reading).rejects.toThrow(/thread ended/);
    expect(lost).toHaveLength(1);
    expect(await counts(work)).toEqual({ written: 0, ended: 0, closed: 0 });
  });

  test('closing them closes them in the thread', async () => {
    const pool = threads(ENDLESS);
    const [one, other] = [pool.openStore(PLACE), pool.openStore(PLACE)];
    await counts(one);
    await counts(other);
    await one.close();
    await expect.poll(async () => (await counts(other)).closed).toBe(1);
  });
});
