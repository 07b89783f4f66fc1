/** Objects that are put together outside memory: the bound is lowered so that small ones stand for large ones. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { StorageWriter } from '../../../../src/storage/contract.ts';
import { NO_OBJECTS } from '../../../../src/pack/selection.ts';
import { openObjectStore } from '../../../../src/pack/reading/open-object-store.ts';
import type { PackSource } from '../../../../src/pack/reading/packed-objects.ts';
import { createPackCounters } from '../../../../src/pack/writing/pack-query.ts';
import type { PackOptions } from '../../../../src/pack/writing/pack-query.ts';
import { streamPack } from '../../../../src/pack/writing/stream-pack.ts';
import {
  bytesAccess,
  emptyRepository,
  gitBytes,
  knownObjects,
  packSources,
} from '../../../support/packed-repository.ts';

/** Scratches in memory that are counted, opened and aborted. */
function scratches() {
  const state = { opened: 0, open: 0, most: 0, largestWrite: 0 };
  const openScratch = async (): Promise<StorageWriter> => {
    state.opened++;
    state.most = Math.max(state.most, ++state.open);
    let bytes = Buffer.alloc(0);
    let isOpen = true;
    return {
      key: 'scratch',
      get bytesWritten() {
        return bytes.length;
      },
      async write(chunk) {
        state.largestWrite = Math.max(state.largestWrite, chunk.length);
        bytes = Buffer.concat([bytes, chunk]);
      },
      read: (offset, length) => bytesAccess(bytes).read(offset, length),
      rewriteHead: () => Promise.reject(new Error('not here')),
      commit: () => Promise.reject(new Error('not here')),
      async abort() {
        if (isOpen) state.open--;
        isOpen = false;
      },
    };
  };
  return { state, openScratch };
}

let packs: PackSource[];
let folder: string;

beforeAll(() => {
  folder = emptyRepository('large');
  // Versions of one file of 1.2 MB, each a small delta on another.
  const oids: string[] = [];
  let text = '';
  for (let line = 0; line < 30_000; line++) text += `line ${line} of the file, ${(line * 7919) % 100_003}\n`;
  for (let version = 0; version < 5; version++) {
    const at = version * 200_000;
    text = `${text.slice(0, at)}a change in version ${version}\n${text.slice(at)}`;
    oids.push(gitBytes(['hash-object', '-w', '--stdin'], folder, text).toString().trim());
  }
  const prefix = join(folder, 'objects/pack/pack');
  gitBytes(['pack-objects', '-q', '--delta-base-offset', '--window=10', prefix], folder, `${oids.join('\n')}\n`);
  packs = packSources(folder);
}, 60_000);

async function writeOne(object: number, maxObjectBytes: number, options: Partial<PackOptions> = {}) {
  const store = openObjectStore({ packs, cacheBytes: 1 << 20, maxObjectBytes });
  const counters = createPackCounters();
  const chunks: Uint8Array[] = [];
  const query = { objects: Uint32Array.of(object), clientHas: NO_OBJECTS, ofsDelta: true, thin: false };
  const { signal } = new AbortController();
  for await (const chunk of streamPack(store, query, { signal, counters, ...options })) chunks.push(chunk);
  const target = emptyRepository('out');
  execFileSync('git', ['index-pack', '--stdin'], { cwd: target, input: Buffer.concat(chunks), stdio: 'pipe' });
  return { found: knownObjects(target), counters, oid: store.oidOf(object), reads: store.counters };
}

describe('an object above the bound in memory whose base does not go along', () => {
  it('is the case that this repository makes', async () => {
    const store = openObjectStore({ packs, cacheBytes: 1 << 20 });
    expect(store.objectCount).toBe(5);
    let deltas = 0;
    for (let object = 0; object < 5; object++) {
      if (store.entryEnd(object) - store.offsetOf(object) < 10_000) deltas++;
    }
    expect(deltas).toBe(4);
  });

  it('is put together in scratches, two at most, and none stays', async () => {
    const known = knownObjects(folder);
    for (const limit of [1000, 100_000]) {
      for (let object = 0; object < 5; object++) {
        const { state, openScratch } = scratches();
        const { found, counters, oid } = await writeOne(object, limit, { openScratch });
        expect([...found.keys()]).toEqual([oid]);
        expect(found.get(oid)?.content.equals(known.get(oid)?.content as Buffer)).toBe(true);
        expect(state.open).toBe(0);
        expect(state.most).toBe(Math.min(2, state.opened));
        expect(state.opened > 0).toBe(counters.deflated > 0);
        expect(state.largestWrite).toBeLessThanOrEqual(256 * 1024);
      }
    }
  });

  it('passes through memory where it fits', async () => {
    const known = knownObjects(folder);
    for (let object = 0; object < 5; object++) {
      const { found, oid } = await writeOne(object, 1 << 24);
      expect(found.get(oid)?.content.equals(known.get(oid)?.content as Buffer)).toBe(true);
    }
  });

  it('ends the stream with `limit_exceeded` where there is no scratch', async () => {
    const results = await Promise.allSettled([0, 1, 2, 3, 4].map((object) => writeOne(object, 1000)));
    const failed = results.filter((result) => result.status === 'rejected');
    expect(failed.length).toBe(4);
    for (const { reason } of failed) expect(reason).toMatchObject({ code: 'limit_exceeded' });
  });

  it('gives its scratches up when the taker leaves', async () => {
    const { state, openScratch } = scratches();
    const store = openObjectStore({ packs, cacheBytes: 1 << 20, maxObjectBytes: 1000 });
    for (let object = 0; object < 5; object++) {
      const query = { objects: Uint32Array.of(object), clientHas: NO_OBJECTS, ofsDelta: true, thin: false };
      const aborter = new AbortController();
      const stream = streamPack(store, query, { signal: aborter.signal, openScratch });
      const first = stream.next();
      setTimeout(() => aborter.abort(), object);
      await first.catch(() => undefined);
      await stream.return();
    }
    expect(state.opened).toBeGreaterThan(0);
    expect(state.open).toBe(0);
  });
});
