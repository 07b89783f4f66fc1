import { createHash } from 'node:crypto';
import { deflateSync } from 'node:zlib';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { isHotpackError } from '../../../../src/bytes/error.ts';
import { NO_OBJECTS } from '../../../../src/pack/selection.ts';
import { writeIdx } from '../../../../src/pack/codec/idx.ts';
import { openObjectStore } from '../../../../src/pack/reading/open-object-store.ts';
import type { PackSource } from '../../../../src/pack/reading/packed-objects.ts';
import { streamPack } from '../../../../src/pack/writing/stream-pack.ts';
import { bytesAccess, emptyRepository, PACK_LAYOUTS, packSources } from '../../../support/packed-repository.ts';

const NAME_A = Buffer.alloc(20, 0x11);
const NAME_B = Buffer.alloc(20, 0x22);
const NAME_C = Buffer.alloc(20, 0x2c);
/** Copies all 8 bytes of a base of 8. */
const IDENTITY = deflateSync(Buffer.from([8, 8, 0x90, 8]));

/** A pack of hand-made entries under the names 1111…, 2222… and 2c2c…, with an idx that fits it. */
function handMade(entries: readonly (readonly Buffer[])[]): PackSource {
  const parts: Buffer[] = [Buffer.from('PACK\0\0\0\x02\0\0\0\x02', 'latin1')];
  const offsets: number[] = [];
  let at = 12;
  for (const entry of entries) {
    offsets.push(at);
    const bytes = Buffer.concat(entry);
    parts.push(bytes);
    at += bytes.length;
  }
  const body = Buffer.concat(parts);
  const packChecksum = createHash('sha1').update(body).digest();
  const idx = writeIdx({
    names: Buffer.concat([NAME_A, NAME_B, NAME_C]).subarray(0, 20 * entries.length),
    crcs: new Uint32Array(entries.length),
    offsets,
    order: Uint32Array.from(entries.keys()),
    packChecksum,
  });
  return { name: 'pack-hand', pack: bytesAccess(Buffer.concat([body, packChecksum])), idx, rev: undefined };
}

function storeOf(...packs: PackSource[]) {
  return openObjectStore({ packs, cacheBytes: 1 << 20 });
}

const REF = Buffer.from([0x74]);

describe('a pack that lies about its deltas', () => {
  it('is told by a ring of two', async () => {
    const store = storeOf(
      handMade([
        [REF, NAME_B, IDENTITY],
        [REF, NAME_A, IDENTITY],
      ]),
    );
    for (const object of [0, 1]) {
      await expect(store.read(object)).rejects.toMatchObject({ code: 'malformed_pack' });
      await expect(store.typeOf(object)).rejects.toMatchObject({ code: 'malformed_pack' });
      expect(() => store.readCached(object)).toThrow(expect.objectContaining({ code: 'malformed_pack' }) as Error);
    }
  });

  it('is told by a ring that the object itself is not in', async () => {
    const store = storeOf(
      handMade([
        [REF, NAME_B, IDENTITY],
        [REF, NAME_A, IDENTITY],
        [REF, NAME_B, IDENTITY],
      ]),
    );
    await expect(store.read(2)).rejects.toMatchObject({ code: 'malformed_pack' });
    await expect(store.typeOf(2)).rejects.toMatchObject({ code: 'malformed_pack' });
  });

  it('is told by an object that is its own base', async () => {
    const store = storeOf(handMade([[REF, NAME_A, IDENTITY]]));
    await expect(store.read(0)).rejects.toMatchObject({ code: 'malformed_pack' });
  });

  it('is told by a base that is nowhere', async () => {
    const store = storeOf(handMade([[REF, Buffer.alloc(20, 0x33), IDENTITY]]));
    await expect(store.read(0)).rejects.toMatchObject({ code: 'malformed_pack' });
    const query = { objects: Uint32Array.of(0), clientHas: NO_OBJECTS, ofsDelta: false, thin: false };
    const stream = streamPack(store, query, { signal: new AbortController().signal });
    await expect(stream.next()).rejects.toMatchObject({ code: 'malformed_pack' });
  });

  it('is told by a distance to where no entry begins', async () => {
    for (const distance of [3, 100]) {
      const whole = [Buffer.from([0x38]), deflateSync(Buffer.alloc(8, 1))];
      const store = storeOf(handMade([whole, [Buffer.from([0x64, distance]), IDENTITY]]));
      await expect(store.read(1)).rejects.toMatchObject({ code: 'malformed_pack' });
      expect((await store.read(0)).content.length).toBe(8);
    }
  });

  it('is told by a result of terabytes, before anything is allocated', async () => {
    const sizes = [8, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01];
    const delta = deflateSync(Buffer.from([...sizes, 0x90, 8]));
    const whole = [Buffer.from([0x38]), deflateSync(Buffer.alloc(8, 1))];
    const entry = Buffer.concat(whole);
    const store = storeOf(handMade([whole, [Buffer.from([0x60 | (sizes.length + 2), entry.length]), delta]]));
    await expect(store.read(1)).rejects.toMatchObject({ code: 'malformed_pack' });
  });

  it('is told by a declared size that its stream cannot have', async () => {
    // 32 MiB declared, within the bound of objects, out of 20 bytes.
    const header = Buffer.from([0x30 | 0x80, 0x80, 0x80, 0x80, 0x01]);
    const store = storeOf(handMade([[header, deflateSync(Buffer.alloc(8, 1))]]));
    expect(await store.sizeOf(0)).toBe(32 << 20);
    await expect(store.read(0)).rejects.toMatchObject({ code: 'malformed_pack' });
  });
});

describe('packs, idx and rev files with flipped or missing bytes', () => {
  let source: PackSource;
  let pack: Uint8Array;
  beforeAll(async () => {
    const folder = emptyRepository('damaged');
    (PACK_LAYOUTS['completed thin packs'] as (folder: string) => void)(folder);
    source = packSources(folder)[0] as PackSource;
    if (source.rev === undefined) throw new Error('git wrote no rev file');
    pack = await source.pack.read(0, source.pack.bytes);
  }, 60_000);

  /** Reads and writes everything; true if that ended in HotpackErrors or not at all in errors. */
  async function survives(damaged: PackSource): Promise<boolean> {
    try {
      const store = openObjectStore({ packs: [damaged], cacheBytes: 1 << 20 });
      for (let object = 0; object < store.objectCount; object++) {
        try {
          await store.read(object);
          await store.sizeOf(object);
          store.find(store.oidOf(object));
        } catch (error) {
          if (!isHotpackError(error)) throw error;
        }
      }
      const objects = Uint32Array.from({ length: store.objectCount }, (_, i) => i).filter((i) => i % 3 > 0);
      const query = { objects, clientHas: NO_OBJECTS, ofsDelta: true, thin: false };
      for await (const _ of streamPack(store, query, { signal: new AbortController().signal }));
      return true;
    } catch (error) {
      if (isHotpackError(error)) return true;
      throw error;
    }
  }

  const damage = (bytes: Uint8Array, at: number, bits: number): Uint8Array => {
    const damaged = bytes.slice();
    damaged[at % bytes.length] = (damaged[at % bytes.length] as number) ^ bits;
    return damaged;
  };

  it.each(['pack', 'idx', 'rev'] as const)('give HotpackErrors or right answers: %s', async (part) => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.integer({ min: 1, max: 255 }), async (at, bits) => {
        const damaged: PackSource =
          part === 'pack'
            ? { ...source, pack: bytesAccess(damage(pack, at, bits)) }
            : { ...source, [part]: damage(source[part] as Uint8Array, at, bits) };
        expect(await survives(damaged)).toBe(true);
      }),
      { numRuns: 12, seed: 1 },
    );
  });

  it('refuses files that are cut', () => {
    const lengths = [0, 7, 1031, 1072, source.idx.length - 1, source.idx.length - 28];
    for (const length of lengths) {
      expect(() => storeOf({ ...source, idx: source.idx.subarray(0, length) })).toThrow(/malformed|offset/);
    }
    for (const bytes of [0, 31, Math.floor(pack.length / 2)]) {
      expect(() => storeOf({ ...source, pack: bytesAccess(pack.subarray(0, bytes)) })).toThrow(
        expect.objectContaining({ code: 'malformed_pack' }) as Error,
      );
    }
  });

  it('refuses a rev that names ranks beyond the idx, or one twice', () => {
    const { rev } = source as { readonly rev: Uint8Array };
    for (const rank of [0x00_ff_ff_ff, 0xff_ff_ff_ff, Buffer.from(rev).readUInt32BE(12 + 4 * 5)]) {
      const wrong = rev.slice();
      new DataView(wrong.buffer).setUint32(12 + 4 * 7, rank);
      expect(() => storeOf({ ...source, rev: wrong })).toThrow('not in the order of their offsets');
    }
  });

  it('refuses an offset that stands for one of 8 bytes where there are none, however large the pack', () => {
    const entry = [Buffer.from([0x30]), deflateSync(Buffer.alloc(0))];
    const made = handMade([entry, entry]);
    const idx = made.idx.slice();
    const view = new DataView(idx.buffer);
    const lastOffsetAt = idx.length - 40 - 4;
    view.setUint32(lastOffsetAt, 0x8000_0000 + view.getUint32(lastOffsetAt));
    for (const bytes of [made.pack.bytes, 2 ** 33]) {
      expect(() => storeOf({ ...made, idx, pack: { ...made.pack, bytes } })).toThrow('offsets beyond its end');
    }
  });

  it('ends the stream with an error where a read is short', async () => {
    const short: PackSource = {
      ...source,
      pack: { bytes: pack.length, read: async (offset, length) => pack.slice(offset, offset + length - 1) },
    };
    const store = storeOf(short);
    await expect(store.read(0)).rejects.toMatchObject({ code: 'malformed_pack' });
    const query = { objects: Uint32Array.of(0), clientHas: NO_OBJECTS, ofsDelta: true, thin: false };
    const stream = streamPack(store, query, { signal: new AbortController().signal });
    await expect(stream.next()).rejects.toMatchObject({ code: 'malformed_pack' });
  });
});
