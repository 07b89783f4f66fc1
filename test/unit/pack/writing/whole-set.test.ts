import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { ObjectStore } from '../../../../src/pack/object-store.ts';
import { openObjectStore } from '../../../../src/pack/reading/open-object-store.ts';
import type { PackedObjects, PackSource } from '../../../../src/pack/reading/packed-objects.ts';
import { NO_OBJECTS, type SelectionQuery } from '../../../../src/pack/selection.ts';
import { selectObjects } from '../../../../src/pack/walk/select-objects.ts';
import { createPackCounters, type PackCounters } from '../../../../src/pack/writing/pack-query.ts';
import { WINDOW_BYTES } from '../../../../src/pack/writing/windows/pack-windows.ts';
import { streamPack } from '../../../../src/pack/writing/stream-pack.ts';
import { streamWholeSet } from '../../../../src/pack/writing/stream-whole-set.ts';
import { recallWholeSet, rememberWholeSet, wholeSetOf, type WholeSet } from '../../../../src/pack/writing/whole-set.ts';
import { gitSync } from '../../../support/git.ts';
import {
  addHistory,
  emptyRepository,
  gitBytes,
  knownObjects,
  PACK_LAYOUTS,
  packSources,
} from '../../../support/packed-repository.ts';

const { signal } = new AbortController();

type Store = ObjectStore & PackedObjects;

function query(parts: Partial<SelectionQuery>): SelectionQuery {
  return {
    wants: [],
    haves: [],
    shallows: [],
    deepen: { kind: 'none' },
    filter: { kind: 'none' },
    includeTags: [],
    thin: false,
    ...parts,
  };
}

async function select(
  store: Store,
  asked: SelectionQuery,
): Promise<{ readonly objects: Uint32Array; readonly set: WholeSet | undefined }> {
  const { objects } = await selectObjects(store, asked, { signal });
  const set = wholeSetOf(store, asked, objects);
  if (set !== undefined) rememberWholeSet(store, asked, set);
  return { objects, set };
}

interface Written {
  readonly pack: Buffer;
  readonly counters: PackCounters;
  readonly set: WholeSet;
}

async function copy(store: Store, set: WholeSet | undefined): Promise<Written> {
  const counters = createPackCounters();
  const chunks: Uint8Array[] = [];
  const stream = streamWholeSet(store, set as WholeSet, { signal, counters });
  for (;;) {
    const { done, value } = await stream.next();
    if (done === true) return { pack: Buffer.concat(chunks), counters, set: value };
    chunks.push(value);
  }
}

/** Entry by entry. */
async function write(store: Store, objects: Uint32Array, ofsDelta = true): Promise<Omit<Written, 'set'>> {
  const counters = createPackCounters();
  const chunks: Uint8Array[] = [];
  const asked = { objects, clientHas: NO_OBJECTS, ofsDelta, thin: false };
  for await (const chunk of streamPack(store, asked, { signal, counters })) chunks.push(chunk);
  return { pack: Buffer.concat(chunks), counters };
}

function tips(folder: string, ...patterns: readonly string[]): string[] {
  return gitSync(['for-each-ref', '--format=%(objectname)', ...patterns], { cwd: folder })
    .trim()
    .split('\n');
}

/** As a client checks it that trusts nobody. */
function expectSound(pack: Uint8Array, folder: string): void {
  const client = emptyRepository('client');
  gitBytes(['-c', 'transfer.fsckObjects=true', 'index-pack', '--strict', '--stdin'], client, pack);
  expect([...knownObjects(client).keys()].sort()).toEqual([...knownObjects(folder).keys()].sort());
}

describe('one pack', () => {
  let folder: string;
  let sources: PackSource[];
  let wants: string[];
  const open = (): Store => openObjectStore({ packs: sources, cacheBytes: 2 ** 20 });
  beforeAll(() => {
    folder = emptyRepository('whole');
    (PACK_LAYOUTS['one pack'] as (at: string) => void)(folder);
    sources = packSources(folder);
    wants = tips(folder);
  }, 60_000);

  it('is its own file once it is known to be asked for whole: nothing is hashed, inflated or read twice', async () => {
    const store = open();
    await select(store, query({ wants }));
    const before = { ...store.counters };
    const recalled = recallWholeSet(store, query({ wants: wants.toReversed() }));
    const { pack, counters } = await copy(store, recalled);
    expect(pack.equals(await (sources[0] as PackSource).pack.read(0, store.packBytes(0)))).toBe(true);
    expect(counters).toMatchObject({ bytesHashed: 0, bytesWritten: pack.length, objects: store.objectCount });
    expect(store.counters).toEqual({
      ...before,
      rangedReads: before.rangedReads + Math.ceil(pack.length / WINDOW_BYTES),
      bytesRead: before.bytesRead + pack.length,
    });
  });

  it('is recalled by those alone whose closure is the same', async () => {
    const store = open();
    const [main = '', ...others] = tips(folder, 'refs/heads');
    expect(others).toEqual([]);
    const tags = tips(folder, 'refs/tags').map((tag) => ({ tag, peeled: main }));
    await select(store, query({ wants: [main], includeTags: tags }));
    const some = gitSync(['rev-parse', 'main~3'], { cwd: folder }).trim();
    const recalls = (parts: Partial<SelectionQuery>): boolean =>
      recallWholeSet(store, query({ wants: [main], includeTags: tags, ...parts })) !== undefined;
    expect(recalls({})).toBe(true);
    expect(recalls({ wants: [some, main] })).toBe(true);
    expect(recalls({ wants: [main, ...tags.map(({ tag }) => tag)], includeTags: [] })).toBe(true);
    expect(recalls({ haves: ['1'.repeat(40)] })).toBe(true);
    expect(recalls({ wants: [some] })).toBe(false);
    expect(recalls({ wants: [main, '2'.repeat(40)] })).toBe(false);
    expect(recalls({ includeTags: tags.slice(1) })).toBe(false);
    expect(recalls({ haves: [some] })).toBe(false);
    expect(recalls({ shallows: [some] })).toBe(false);
    expect(recalls({ deepen: { kind: 'depth', depth: 1, relative: false } })).toBe(false);
    expect(recalls({ filter: { kind: 'blob-none' } })).toBe(false);
  });

  it('is no whole where something in it is not asked for', async () => {
    const store = open();
    const wanted = query({ wants: [gitSync(['rev-parse', 'main~1'], { cwd: folder }).trim()] });
    expect((await select(store, wanted)).set).toBeUndefined();
    expect(recallWholeSet(store, wanted)).toBeUndefined();
  });

  it('is written entry by entry for who takes no deltas by distance', async () => {
    const store = open();
    const { objects, set } = await select(store, query({ wants }));
    expect(set).toBeDefined();
    const { pack, counters } = await write(store, objects, false);
    expect(counters.bytesHashed).toBe(pack.length - 20);
    expectSound(pack, folder);
  });
});

describe('several packs', () => {
  /** Thin packs as they are fetched one after the other, each completed with its bases; in the order in which they came. */
  function fetchedPacks(): { readonly folder: string; readonly sources: PackSource[] } {
    const origin = emptyRepository('origin');
    const folder = emptyRepository('fetched');
    const order: string[] = [];
    let before: string[] = [];
    for (let start = 0; start < 90; start += 30) {
      addHistory(origin, { commits: 30, start });
      const revs = [...tips(origin), ...before.map((oid) => `^${oid}`)].join('\n');
      const options = ['--stdout', '--revs', '--thin', '--delta-base-offset'];
      const thin = gitBytes(['pack-objects', '-q', ...options], origin, `${revs}\n`);
      gitBytes(['index-pack', '--stdin', '--fix-thin', '--rev-index'], folder, thin);
      before = tips(origin);
      for (const file of readdirSync(join(folder, 'objects/pack'))) {
        const name = file.replace(/\.[a-z]+$/, '');
        if (!order.includes(name)) order.push(name);
      }
      gitSync(['fetch', '-q', origin, '+refs/*:refs/*'], { cwd: folder });
    }
    const sources = packSources(folder).toSorted((a, b) => order.indexOf(a.name) - order.indexOf(b.name));
    return { folder, sources };
  }

  it('go out up to their tails, and are hashed once', async () => {
    const { folder, sources } = fetchedPacks();
    const store = openObjectStore({ packs: sources, cacheBytes: 2 ** 20 });
    const distinct = knownObjects(folder).size;
    expect(sources).toHaveLength(3);
    expect(store.objectCount).toBeGreaterThan(distinct);
    const wants = tips(folder);
    const { set } = await select(store, query({ wants }));
    const ends = set?.packs.map(({ pack, end }) => store.packBytes(pack) - end);
    expect(ends?.[0]).toBe(20);
    expect(ends?.every((tail) => tail > 20)).toBe(false);
    expect(Math.max(...(ends ?? []))).toBeGreaterThan(20);
    const first = await copy(store, set);
    rememberWholeSet(store, query({ wants }), first.set);
    expectSound(first.pack, folder);
    expect(first.counters).toMatchObject({ bytesHashed: first.pack.length - 20, bytesWritten: first.pack.length });
    expect(first.counters.objects).toBe(distinct);
    const again = recallWholeSet(store, query({ wants }));
    const second = await copy(store, again);
    expect(second.pack.equals(first.pack)).toBe(true);
    expect(second.counters).toMatchObject({ bytesHashed: 0, deflated: 0, bytesWritten: second.pack.length });
  });

  it('of which one is asked for whole and the other not at all leave the other where it is', async () => {
    const folder = emptyRepository('apart');
    addHistory(folder, { commits: 10 });
    gitSync(['repack', '-adq'], { cwd: folder });
    const [main] = packSources(folder);
    addHistory(folder, { commits: 10, start: 10 });
    gitSync(['update-ref', 'refs/pull/1/head', 'main'], { cwd: folder });
    gitSync(['update-ref', 'refs/heads/main', 'main~10'], { cwd: folder });
    gitSync(['repack', '-dq'], { cwd: folder });
    const sources = packSources(folder).toSorted(
      (a, b) => Number(b.name === main?.name) - Number(a.name === main?.name),
    );
    expect(sources).toHaveLength(2);
    const store = openObjectStore({ packs: sources, cacheBytes: 2 ** 20 });
    const wants = tips(folder, 'refs/heads', 'refs/tags');
    const pulled = tips(folder, 'refs/pull');
    const { objects, set } = await select(store, query({ wants }));
    expect(set?.packs.map(({ pack }) => pack)).toEqual([0]);
    expect(recallWholeSet(store, query({ wants: [...wants, ...pulled] }))).toBeUndefined();
    const { pack } = await copy(store, set);
    const client = emptyRepository('client');
    gitBytes(['index-pack', '--strict', '--stdin'], client, pack);
    expect(knownObjects(client).size).toBe(objects.length);
  });

  it('with objects in each other give each of them once', async () => {
    const folder = emptyRepository('duplicates');
    (PACK_LAYOUTS['several packs with duplicates'] as (at: string) => void)(folder);
    const store = openObjectStore({ packs: packSources(folder), cacheBytes: 2 ** 20 });
    const { objects, set } = await select(store, query({ wants: tips(folder) }));
    const { pack, counters } = set === undefined ? await write(store, objects) : await copy(store, set);
    expect(counters.objects).toBe(knownObjects(folder).size);
    expectSound(pack, folder);
  });
});
