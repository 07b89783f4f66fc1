/** A blob of 300 MB passes from pack to pack in windows: what is held at any moment does not grow with it. */
import { randomBytes } from 'node:crypto';
import {
  appendFileSync,
  closeSync,
  createWriteStream,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  statSync,
} from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { NO_OBJECTS } from '../../../src/pack/selection.ts';
import { openObjectStore } from '../../../src/pack/reading/open-object-store.ts';
import { streamPack } from '../../../src/pack/writing/stream-pack.ts';
import { git } from '../../support/git.ts';
import { emptyRepository } from '../../support/packed-repository.ts';

const MIB = 1024 * 1024;

it('copies a pack that holds a blob of 300 MB, in bounded memory', async () => {
  const folder = emptyRepository('long');
  const file = join(folder, 'blob');
  for (let part = 0; part < 300; part++) appendFileSync(file, randomBytes(MIB));
  const large = (await git(['hash-object', '-w', file], { cwd: folder })).trim();
  const small = (await git(['hash-object', '-w', '--stdin'], { cwd: folder, input: 'small\n' })).trim();
  const packs = join(folder, 'objects/pack');
  await git(['pack-objects', '-q', join(packs, 'pack')], { cwd: folder, input: `${small}\n${large}\n` });
  const name = (readdirSync(packs).find((one) => one.endsWith('.idx')) as string).slice(0, -4);
  const path = join(packs, `${name}.pack`);
  const handle = openSync(path, 'r');
  const pack = {
    bytes: statSync(path).size,
    async read(offset: number, length: number) {
      const bytes = new Uint8Array(length);
      await new Promise((resolve) => setImmediate(resolve));
      return bytes.subarray(0, readSync(handle, bytes, 0, length, offset));
    },
  };
  const idx = new Uint8Array(readFileSync(join(packs, `${name}.idx`)));
  const store = openObjectStore({ packs: [{ name, pack, idx, rev: undefined }], cacheBytes: 4 * MIB });
  expect(pack.bytes).toBeGreaterThan(300 * MIB);

  for (const objects of [Uint32Array.of(0, 1), Uint32Array.of(store.find(large))]) {
    const out = join(folder, `out-${objects.length}.pack`);
    const sink = createWriteStream(out);
    const query = { objects, clientHas: NO_OBJECTS, ofsDelta: true, thin: false };
    globalThis.gc?.();
    const before = process.memoryUsage().arrayBuffers;
    let most = 0;
    let longest = 0;
    for await (const chunk of streamPack(store, query, { signal: new AbortController().signal })) {
      longest = Math.max(longest, chunk.length);
      most = Math.max(most, process.memoryUsage().arrayBuffers - before);
      if (!sink.write(chunk)) await once(sink, 'drain');
    }
    sink.end();
    await once(sink, 'finish');
    expect(longest).toBeLessThanOrEqual(MIB);
    // Windows that were let go of but not yet collected count as well.
    expect(most).toBeLessThan(150 * MIB);
    await git(['index-pack', '-o', `${out}.idx`, out], { cwd: folder });
  }
  expect(store.counters.inflated).toBe(0);
  closeSync(handle);
}, 300_000);
