import { beforeAll, describe, expect, it } from 'vitest';
import { OBJECT_TYPE_NAMES } from '../../../../src/pack/codec/object-type.ts';
import { openObjectStore } from '../../../../src/pack/reading/open-object-store.ts';
import type { PackedObjects, PackSource } from '../../../../src/pack/reading/packed-objects.ts';
import {
  blobOid,
  deepChain,
  emptyRepository,
  indexedByGit,
  knownObjects,
  PACK_LAYOUTS,
  packSources,
} from '../../../support/packed-repository.ts';
import type { KnownObject } from '../../../support/packed-repository.ts';

const MIB = 1024 * 1024;

function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0;
}

/** The pack's objects, duplicates of earlier packs included. */
function inOffsetOrder(store: PackedObjects, pack: number): number[] {
  return Array.from({ length: store.objectsIn(pack) }, (_, position) => store.objectAtPosition(pack, position));
}

for (const [layout, make] of Object.entries(PACK_LAYOUTS)) {
  describe(`a repository of ${layout}`, () => {
    let packs: PackSource[];
    let known: Map<string, KnownObject>;
    beforeAll(() => {
      const folder = emptyRepository('layout');
      make(folder);
      packs = packSources(folder);
      known = knownObjects(folder);
    }, 60_000);

    it('is big enough to say something', () => {
      expect(known.size).toBeGreaterThan(300);
      expect(packs.length).toBe(layout.startsWith('several') ? 4 : layout.startsWith('completed') ? 3 : 1);
    });

    for (const cacheBytes of [0, 200_000, 32 * MIB]) {
      it(`gives every object as git does with ${cacheBytes} bytes of cache`, async () => {
        const store = openObjectStore({ packs, cacheBytes });
        const wrong: string[] = [];
        for (const [oid, { type, content }] of known) {
          const object = store.find(oid);
          const found = store.readCached(object) ?? (await store.read(object));
          if (OBJECT_TYPE_NAMES[found.type] !== type || !sameBytes(found.content, content)) wrong.push(oid);
        }
        expect(wrong).toEqual([]);
      });
    }

    it('gives type and size without reading whole objects', async () => {
      const store = openObjectStore({ packs, cacheBytes: 4 * MIB });
      const wrong: string[] = [];
      for (const [oid, { type, content }] of known) {
        const object = store.find(oid);
        if (OBJECT_TYPE_NAMES[await store.typeOf(object)] !== type) wrong.push(oid);
        if ((await store.sizeOf(object)) !== content.length) wrong.push(oid);
      }
      expect(wrong).toEqual([]);
      // Deltas were inflated, what they make was not.
      expect(store.counters.inflated).toBeLessThan(known.size);
      const all = [...known.values()].reduce((bytes, { content }) => bytes + content.length, 0);
      expect(store.counters.bytesInflated).toBeLessThan(all / 3);
    });

    it('reads the same without a rev file', async () => {
      const store = openObjectStore({ packs: packs.map((pack) => ({ ...pack, rev: undefined })), cacheBytes: MIB });
      const other = openObjectStore({ packs, cacheBytes: MIB });
      for (let pack = 0; pack < packs.length; pack++) {
        expect(inOffsetOrder(store, pack)).toEqual(inOffsetOrder(other, pack));
      }
    });

    it('numbers objects by the first pack that holds them, and back', () => {
      const store = openObjectStore({ packs, cacheBytes: MIB });
      const seen = new Map<string, number>();
      for (let object = 0; object < store.objectCount; object++) {
        const oid = store.oidOf(object);
        if (!seen.has(oid)) seen.set(oid, object);
        expect(store.canonical(object)).toBe(seen.get(oid));
        expect(store.find(oid)).toBe(seen.get(oid));
      }
      expect([...seen.keys()].sort()).toEqual([...known.keys()].sort());
      expect(store.find('0'.repeat(40))).toBe(-1);
      expect(store.find('f'.repeat(40))).toBe(-1);
    });

    it('tells where entries lie: one behind the other, from header to trailer', () => {
      const store = openObjectStore({ packs, cacheBytes: MIB });
      for (let pack = 0; pack < store.packCount; pack++) {
        let at = 12;
        for (const object of inOffsetOrder(store, pack)) {
          expect(store.packOf(object)).toBe(pack);
          expect(store.offsetOf(object)).toBe(at);
          expect(store.objectAtPosition(pack, store.positionOf(object))).toBe(object);
          expect(store.objectAtOffset(pack, at)).toBe(store.canonical(object));
          // From wherever it is looked for.
          const position = store.positionOf(object);
          for (const near of [0, position, position + 3, store.objectsIn(pack) - 1]) {
            const known = Math.min(near, store.objectsIn(pack) - 1);
            expect(store.positionAtOffset(pack, at, known)).toBe(position);
          }
          expect(() => store.positionAtOffset(pack, at + 1, position)).toThrow('no entry begins');
          at = store.entryEnd(object);
        }
        expect(at).toBe(store.packBytes(pack) - 20);
      }
    });
  });
}

describe('a chain of 10,000 deltas', () => {
  it('resolves from its end, with and without a cache worth the name', async () => {
    const { pack, contents } = deepChain(10_000);
    const packs = indexedByGit(pack);
    for (const cacheBytes of [0, 16 * MIB]) {
      const store = openObjectStore({ packs, cacheBytes });
      const last = contents.at(-1) as Buffer;
      const object = store.find(blobOid(last));
      expect(store.readCached(object)).toBeUndefined();
      expect(sameBytes((await store.read(object)).content, last)).toBe(true);
      expect(store.counters.inflated).toBe(10_001);
    }
  });
});

describe('what reading costs', () => {
  it('inflates each object once and reads each byte once, in pack order', async () => {
    const folder = emptyRepository('cost');
    (PACK_LAYOUTS['one pack'] as (folder: string) => void)(folder);
    const packs = packSources(folder);
    const store = openObjectStore({ packs, cacheBytes: 32 * MIB });
    let waited = 0;
    for (const object of inOffsetOrder(store, 0)) {
      if (store.readCached(object) !== undefined) continue;
      waited++;
      await store.read(object);
    }
    expect(store.counters.inflated).toBe(store.objectCount);
    expect(store.counters.bytesRead).toBeLessThanOrEqual(store.packBytes(0));
    expect(store.counters.rangedReads).toBeLessThanOrEqual(4);
    expect(waited).toBe(store.counters.rangedReads);
  });

  it('shares one read among those who ask for the same block at once', async () => {
    const folder = emptyRepository('shared');
    (PACK_LAYOUTS['bases by name'] as (folder: string) => void)(folder);
    const store = openObjectStore({ packs: packSources(folder), cacheBytes: 32 * MIB });
    const object = store.objectAtPosition(0, 0);
    await Promise.all(Array.from({ length: 50 }, () => store.read(object)));
    expect(store.counters.rangedReads).toBe(1);
  });

  it('lets one of those leave without the others', async () => {
    const folder = emptyRepository('leaving');
    (PACK_LAYOUTS['bases by name'] as (folder: string) => void)(folder);
    const store = openObjectStore({ packs: packSources(folder), cacheBytes: 32 * MIB });
    const object = store.objectAtPosition(0, 0);
    const leaver = new AbortController();
    const left = store.read(object, leaver.signal);
    const stayed = store.read(object);
    leaver.abort();
    await expect(left).rejects.toMatchObject({ code: 'aborted' });
    await expect(stayed).resolves.toMatchObject({ type: 1 });
    expect(store.counters.rangedReads).toBe(1);
  });

  it('refuses an object above the bound, by its header alone', async () => {
    const folder = emptyRepository('bound');
    (PACK_LAYOUTS['one pack'] as (folder: string) => void)(folder);
    const store = openObjectStore({ packs: packSources(folder), cacheBytes: MIB, maxObjectBytes: 50_000 });
    let refused = 0;
    for (const [oid, { content }] of knownObjects(folder)) {
      if (content.length <= 50_000) continue;
      refused++;
      await expect(store.read(store.find(oid))).rejects.toMatchObject({ code: 'limit_exceeded' });
      expect(await store.sizeOf(store.find(oid))).toBe(content.length);
    }
    expect(refused).toBe(3);
    expect(store.counters.bytesInflated).toBe(0);
  });

  it('reads nothing more once it is closed', async () => {
    const folder = emptyRepository('closed');
    (PACK_LAYOUTS['bases by name'] as (folder: string) => void)(folder);
    const store = openObjectStore({ packs: packSources(folder), cacheBytes: MIB });
    const object = store.objectAtPosition(0, 0);
    await store.read(object);
    store.close();
    expect(store.readCached(object)).toBeUndefined();
    await expect(store.read(object)).rejects.toMatchObject({ code: 'invalid_argument' });
  });
});
