/** Windows of a pack that is written are read into memory that is lent again and again, and the pack is the same. */
import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import { openObjectStore } from '../../../../../src/pack/reading/open-object-store.ts';
import type { PackSource } from '../../../../../src/pack/reading/packed-objects.ts';
import { NO_OBJECTS } from '../../../../../src/pack/selection.ts';
import { streamPack } from '../../../../../src/pack/writing/stream-pack.ts';
import { WINDOW_BYTES } from '../../../../../src/pack/writing/windows/pack-windows.ts';
import { WindowMemory } from '../../../../../src/pack/writing/windows/window-memory.ts';
import { FastImport } from '../../../../support/fast-import.ts';
import { gitSync } from '../../../../support/git.ts';
import { emptyRepository, packSources } from '../../../../support/packed-repository.ts';
import { noise } from '../../../../support/repositories.ts';

const { signal } = new AbortController();

/** A pack of `blobs` times 100,000 bytes that nothing makes shorter. */
function noisyPack(blobs: number): PackSource[] {
  const folder = emptyRepository('noisy');
  const stream = new FastImport();
  const changes = Array.from({ length: blobs }, (_, n) => ({ path: `${n}.bin`, data: noise(`${n}`, 100_000) }));
  stream.commit({ ref: 'refs/heads/main', message: 'noise\n', changes });
  stream.run(folder);
  gitSync(['repack', '-adq'], { cwd: folder });
  return packSources(folder);
}

/** The SHA-1 of the pack of all objects but the last one; what was lent for it, and what of it was used. */
async function write(
  sources: readonly PackSource[],
  takesLent: boolean,
): Promise<{ readonly sha1: string; readonly lent: number; readonly reads: number }> {
  const lent = new Set<ArrayBufferLike>();
  let reads = 0;
  const packs = sources.map((source) => ({
    ...source,
    pack: {
      bytes: source.pack.bytes,
      async read(offset: number, length: number, _?: AbortSignal, into?: Uint8Array) {
        const bytes = await source.pack.read(offset, length);
        reads++;
        if (into === undefined || !takesLent) return bytes.slice();
        lent.add(into.buffer);
        into.set(bytes);
        return into.subarray(0, length);
      },
    },
  }));
  const store = openObjectStore({ packs, cacheBytes: 0 });
  const objects = Uint32Array.from({ length: store.objectCount - 1 }, (_, object) => object);
  const sha1 = createHash('sha1');
  const query = { objects, clientHas: NO_OBJECTS, ofsDelta: true, thin: false };
  for await (const chunk of streamPack(store, query, { signal })) sha1.update(chunk);
  return { sha1: sha1.digest('hex'), lent: lent.size, reads };
}

it('a pack of many windows is read into three of them, and is the same as from arrays that are new each time', async () => {
  const sources = noisyPack(60);
  const expected = await write(sources, false);
  expect(expected.reads).toBeGreaterThan(5);
  const { sha1, lent, reads } = await write(sources, true);
  expect({ sha1, reads }).toEqual({ sha1: expected.sha1, reads: expected.reads });
  expect(lent).toBeGreaterThan(0);
  expect(lent).toBeLessThanOrEqual(3);
});

it('is lent to one at a time, three times at most, and neither for little nor for more than a window', () => {
  const memory = new WindowMemory();
  expect(memory.lend(1000)).toBeUndefined();
  expect(memory.lend(WINDOW_BYTES + 1)).toBeUndefined();
  const lent = [1, 2, 3].map(() => memory.lend(WINDOW_BYTES) as Uint8Array);
  expect(new Set(lent.map(({ buffer }) => buffer)).size).toBe(3);
  expect(memory.lend(WINDOW_BYTES)).toBeUndefined();
  memory.giveBack((lent[1] as Uint8Array).subarray(0, 70_000));
  expect(memory.lend(WINDOW_BYTES)?.buffer).toBe(lent[1]?.buffer);
  const foreign = new Uint8Array(WINDOW_BYTES);
  memory.giveBack(foreign);
  expect(memory.lend(WINDOW_BYTES)).toBeUndefined();
  expect(foreign.length).toBe(WINDOW_BYTES);
});
