import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { giveBack } from '../../../../src/bytes/give-back.ts';
import { OBJ_BLOB } from '../../../../src/pack/codec/object-type.ts';
import type { ObjectStore } from '../../../../src/pack/object-store.ts';
import { openObjectStore } from '../../../../src/pack/reading/open-object-store.ts';
import type { PackedObjects, PackSource } from '../../../../src/pack/reading/packed-objects.ts';
import { NO_OBJECTS } from '../../../../src/pack/selection.ts';
import { createPackCounters } from '../../../../src/pack/writing/pack-query.ts';
import type { PackCounters, PackQuery } from '../../../../src/pack/writing/pack-query.ts';
import { streamPack } from '../../../../src/pack/writing/stream-pack.ts';
import {
  emptyRepository,
  gitBytes,
  knownObjects,
  PACK_LAYOUTS,
  packSources,
} from '../../../support/packed-repository.ts';
import type { KnownObject } from '../../../support/packed-repository.ts';

const MIB = 1024 * 1024;
const NONE = new Uint32Array(0);
type Store = ObjectStore & PackedObjects;

interface Written {
  readonly pack: Buffer;
  readonly chunks: readonly number[];
  readonly counters: PackCounters;
}

async function write(store: Store, query: Partial<PackQuery> & { objects: Uint32Array }): Promise<Written> {
  const counters = createPackCounters();
  const chunks: Uint8Array[] = [];
  const full: PackQuery = { clientHas: NO_OBJECTS, ofsDelta: true, thin: false, ...query };
  for await (const chunk of streamPack(store, full, { signal: new AbortController().signal, counters })) {
    chunks.push(chunk);
  }
  return { pack: Buffer.concat(chunks), chunks: chunks.map((chunk) => chunk.length), counters };
}

function canonicalObjects(store: Store): Uint32Array {
  return Uint32Array.from({ length: store.objectCount }, (_, object) => object).filter(
    (object) => store.canonical(object) === object,
  );
}

/** A generator of the same numbers in [0, 1) for the same seed. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** What git finds in the pack, put into `folder` (a new repository unless given). */
function unpackedByGit(pack: Uint8Array, options: { readonly folder?: string; readonly thin?: boolean } = {}) {
  const folder = options.folder ?? emptyRepository('written');
  const thin = options.thin === true ? ['--fix-thin'] : [];
  gitBytes(['index-pack', '--stdin', ...thin], folder, pack);
  return knownObjects(folder);
}

function expectObjects(
  found: Map<string, KnownObject>,
  expected: Iterable<string>,
  known: Map<string, KnownObject>,
): void {
  const wanted = [...expected].sort();
  expect([...found.keys()].sort()).toEqual(wanted);
  const wrong = wanted.filter((oid) => {
    const a = found.get(oid) as KnownObject;
    const b = known.get(oid) as KnownObject;
    return a.type !== b.type || !a.content.equals(b.content);
  });
  expect(wrong).toEqual([]);
}

for (const [layout, make] of Object.entries(PACK_LAYOUTS)) {
  describe(`out of ${layout}`, () => {
    let folder: string;
    let packs: PackSource[];
    let known: Map<string, KnownObject>;
    let store: Store;
    beforeAll(() => {
      folder = emptyRepository('layout');
      make(folder);
      packs = packSources(folder);
      known = knownObjects(folder);
      store = openObjectStore({ packs, cacheBytes: 8 * MIB });
    }, 60_000);

    it.each([true, false])('writes all objects (ofs-delta: %s)', async (ofsDelta) => {
      const { pack, counters } = await write(store, { objects: canonicalObjects(store), ofsDelta });
      expectObjects(unpackedByGit(pack), known.keys(), known);
      expect(counters.objects).toBe(known.size);
      expect(counters.deflated).toBe(0);
      expect(counters.bytesWritten).toBe(pack.length);
    });

    it.each([
      [1, 0.5, true],
      [2, 0.5, false],
      [3, 0.02, true],
      [4, 0.97, true],
      [5, 0.97, false],
    ])('writes any subset (seed %i, share %f, ofs-delta: %s)', async (seed, share, ofsDelta) => {
      const random = seeded(seed);
      const objects = canonicalObjects(store).filter(() => random() < share);
      const { pack, counters } = await write(store, { objects, ofsDelta });
      expectObjects(
        unpackedByGit(pack),
        Array.from(objects, (object) => store.oidOf(object)),
        known,
      );
      expect(counters.objects).toBe(objects.length);
      expect(counters.reused + counters.reusedDeltas + counters.deflated).toBe(objects.length);
    });

    it.each([true, false])(
      'sends deltas against what the client has, in a thin pack (ofs-delta: %s)',
      async (ofsDelta) => {
        const random = seeded(6);
        const all = canonicalObjects(store);
        const isHad = all.map(() => Number(random() < 0.5));
        const had = all.filter((_, i) => isHad[i] === 1);
        const clientHas = { has: (object: number) => had.includes(object) };
        const objects = all.filter((_, i) => isHad[i] === 0);
        const client = emptyRepository('client');
        unpackedByGit((await write(store, { objects: had, ofsDelta })).pack, { folder: client });

        const thick = await write(store, { objects, clientHas, ofsDelta });
        const thin = await write(store, { objects, clientHas, ofsDelta, thin: true });
        expect(thick.counters.deflated).toBeGreaterThan(0);
        expect(thin.counters.deflated).toBe(0);
        expect(thin.pack.length).toBeLessThan(thick.pack.length);
        expectObjects(unpackedByGit(thin.pack, { folder: client, thin: true }), known.keys(), known);
      },
    );

    it('writes an empty pack', async () => {
      const { pack } = await write(store, { objects: NONE });
      expect(pack.length).toBe(32);
      expect(unpackedByGit(pack).size).toBe(0);
    });

    it('names no bases by distance where the client does not take that', async () => {
      const { pack } = await write(store, { objects: canonicalObjects(store), ofsDelta: false });
      const written = indexedAndVerified(pack);
      expect(written.length).toBe(known.size);
      expect(written.some(({ type }) => type === 6)).toBe(false);
    });

    it('is about as small as what git makes of the same objects', async () => {
      const { pack } = await write(store, { objects: canonicalObjects(store) });
      const oids = [...known.keys()].join('\n');
      const byGit = gitBytes(['pack-objects', '-q', '--stdout', '--delta-base-offset'], folder, `${oids}\n`);
      expect(pack.length).toBeLessThan(byGit.length * 1.25 + 200);
    });
  });
}

/** Types of the entries as they are stored, by git's index of the pack. */
function indexedAndVerified(pack: Uint8Array): { readonly oid: string; readonly type: number }[] {
  const folder = emptyRepository('verified');
  const packFolder = join(folder, 'objects/pack');
  mkdirSync(packFolder, { recursive: true });
  writeFileSync(join(packFolder, 'pack-made.pack'), pack);
  gitBytes(['index-pack', join(packFolder, 'pack-made.pack')], folder);
  return gitBytes(['show-index'], folder, packSources(folder)[0]?.idx ?? '')
    .toString('latin1')
    .trim()
    .split('\n')
    .map((line) => {
      const [offset, oid] = line.split(' ') as [string, string];
      return { oid, type: ((pack[Number(offset)] as number) >> 4) & 7 };
    });
}

describe('what writing costs', () => {
  let packs: PackSource[];
  beforeAll(() => {
    const folder = emptyRepository('cost');
    (PACK_LAYOUTS['one pack'] as (folder: string) => void)(folder);
    packs = packSources(folder);
  }, 60_000);

  it('copies a whole pack byte for byte, in one read a window, and inflates nothing', async () => {
    const store = openObjectStore({ packs, cacheBytes: MIB });
    const { pack, counters } = await write(store, { objects: canonicalObjects(store) });
    const bytes = store.packBytes(0);
    expect(pack.equals(await (packs[0] as PackSource).pack.read(0, bytes))).toBe(true);
    expect(counters.bytesCopied).toBe(bytes - 32);
    expect(store.counters).toEqual({
      rangedReads: Math.ceil(bytes / MIB),
      bytesRead: bytes - 32,
      inflated: 0,
      bytesInflated: 0,
    });
  });

  it('reads holes of less than 64 KiB along, and nothing beyond the last entry', async () => {
    const store = openObjectStore({ packs, cacheBytes: MIB });
    const ends = Uint32Array.of(store.objectAtPosition(0, 0), store.objectAtPosition(0, store.objectsIn(0) - 1)).sort();
    const { counters } = await write(store, { objects: ends });
    expect(counters.objects).toBe(2);
    expect(store.counters.bytesRead).toBeLessThan(store.packBytes(0) / 2);
  });

  it('looks nothing up for an entry but the place of the base of a delta', async () => {
    const store = openObjectStore({ packs, cacheBytes: MIB });
    const types = await Promise.all(Array.from(canonicalObjects(store), (object) => store.typeOf(object)));
    const objects = canonicalObjects(store).filter((_, i) => types[i] !== OBJ_BLOB);
    const asked = new Map<string, number>();
    const LOOKUPS = ['positionAtOffset', 'positionOf', 'packOf', 'offsetOf', 'objectAtPosition', 'canonical'] as const;
    const counted = { ...store };
    for (const name of LOOKUPS) {
      const look = store[name] as (...args: number[]) => number;
      counted[name] = (...args: number[]) => {
        asked.set(name, (asked.get(name) ?? 0) + 1);
        return look(...args);
      };
    }
    const { counters } = await write(counted, { objects });
    expect(counters).toMatchObject({ objects: objects.length, deflated: 0 });
    expect(counters.reusedDeltas).toBeGreaterThan(20);
    expect([...asked]).toEqual([['positionAtOffset', counters.reusedDeltas]]);
  });

  it('hands out chunks of 64 KiB to 1 MiB', async () => {
    const random = seeded(7);
    const small = openObjectStore({ packs, cacheBytes: MIB });
    const some = await write(small, { objects: canonicalObjects(small).filter(() => random() < 0.9) });
    const big = openObjectStore({ packs: bigBlobs(), cacheBytes: MIB });
    const two = await write(big, { objects: canonicalObjects(big).slice(1) });
    expect(two.chunks.length).toBeGreaterThan(5);
    for (const chunks of [some.chunks, two.chunks]) {
      for (const bytes of chunks.slice(0, -1)) expect(bytes).toBeGreaterThanOrEqual(64 * 1024);
      expect(Math.max(...chunks)).toBeLessThanOrEqual(MIB);
    }
  });

  it.each([true, false])('leaves no array that was read to a collection (whole packs: %s)', async (isWhole) => {
    const read: Uint8Array[] = [];
    const watched = [...packs, ...bigBlobs()].map((source): PackSource => ({
      ...source,
      pack: {
        bytes: source.pack.bytes,
        read: async (...range) => {
          // As the drivers do: memory of its own.
          const bytes = new Uint8Array(await source.pack.read(...range));
          read.push(bytes);
          return bytes;
        },
      },
    }));
    const store = openObjectStore({ packs: watched, cacheBytes: 0 });
    const all = canonicalObjects(store);
    const query = {
      objects: isWhole ? all : all.filter((_, i) => i % 7 > 0),
      clientHas: NO_OBJECTS,
      ofsDelta: true,
      thin: false,
    };
    for await (const chunk of streamPack(store, query, { signal: new AbortController().signal })) giveBack(chunk);
    const left = read.filter((bytes) => bytes.byteLength >= 64 * 1024);
    expect(read.length).toBeGreaterThan(5);
    expect(left.map((bytes) => bytes.byteLength)).toEqual([]);
  });

  it('reads on only as chunks are taken, and stops when the taker leaves', async () => {
    const big = bigBlobs();
    const store = openObjectStore({ packs: big, cacheBytes: MIB });
    const query: PackQuery = { objects: canonicalObjects(store), clientHas: NO_OBJECTS, ofsDelta: true, thin: false };
    const stream = streamPack(store, query, { signal: new AbortController().signal });
    await stream.next();
    await new Promise((resolve) => setImmediate(resolve));
    expect(store.counters.rangedReads).toBeLessThanOrEqual(2);
    await stream.return();
    await new Promise((resolve) => setImmediate(resolve));
    expect(store.counters.rangedReads).toBeLessThanOrEqual(2);
    expect(store.packBytes(0)).toBeGreaterThan(5 * MIB);
  });

  it('ends with `aborted` when its signal fires', async () => {
    const store = openObjectStore({ packs: bigBlobs(), cacheBytes: MIB });
    const query: PackQuery = { objects: canonicalObjects(store), clientHas: NO_OBJECTS, ofsDelta: true, thin: false };
    const aborter = new AbortController();
    const stream = streamPack(store, query, { signal: aborter.signal });
    await stream.next();
    aborter.abort();
    await expect(
      (async () => {
        for (;;) if ((await stream.next()).done === true) return;
      })(),
    ).rejects.toMatchObject({ code: 'aborted' });
  });

  it('refuses objects that are not of the store or not ascending', async () => {
    const store = openObjectStore({ packs, cacheBytes: MIB });
    for (const objects of [[store.objectCount], [2, 1], [1, 1]]) {
      await expect(write(store, { objects: Uint32Array.from(objects) })).rejects.toMatchObject({
        code: 'invalid_argument',
      });
    }
  });
});

let bigSources: PackSource[] | undefined;

/** Three blobs of 3 MiB of noise: each longer than a window. */
function bigBlobs(): PackSource[] {
  if (bigSources !== undefined) return bigSources;
  const folder = emptyRepository('big');
  const random = seeded(8);
  const oids = [0, 1, 2].map(() => {
    const noise = Buffer.alloc(3 * MIB);
    for (let i = 0; i < noise.length; i += 4) noise.writeUInt32LE(Math.floor(random() * 2 ** 32), i);
    return gitBytes(['hash-object', '-w', '--stdin'], folder, noise).toString().trim();
  });
  gitBytes(['pack-objects', '-q', join(folder, 'objects/pack/pack')], folder, `${oids.join('\n')}\n`);
  bigSources = packSources(folder);
  return bigSources;
}

describe('entries longer than a window', () => {
  it('are copied piece by piece, in any selection', async () => {
    const store = openObjectStore({ packs: bigBlobs(), cacheBytes: MIB });
    const all = canonicalObjects(store);
    for (const objects of [all, all.slice(1), all.slice(0, 1)]) {
      const { pack, chunks } = await write(store, { objects });
      const found = unpackedByGit(pack);
      expect([...found.keys()].sort()).toEqual(Array.from(objects, (object) => store.oidOf(object)).sort());
      expect(Math.max(...chunks)).toBeLessThanOrEqual(MIB);
    }
    expect(store.counters.inflated).toBe(0);
  });
});
