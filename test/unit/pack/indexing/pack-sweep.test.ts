/* oxlint-disable vitest/expect-expect -- expectAsGit does */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { indexPack } from '../../../../src/pack/indexing/index-pack.ts';
import { sweepsOfWriter } from '../../../../src/pack/indexing/resolve/pack-sweep.ts';
import { createMemoryStorage } from '../../../../src/storage/drivers/memory.ts';
import { gitSync } from '../../../support/git.ts';
import { addHistory, emptyRepository } from '../../../support/packed-repository.ts';
import { makeRandomHistory } from '../../../support/random-history.ts';
import { expectAsGit, inChunks } from './judge.ts';

function packOf(folder: string): Buffer {
  const packs = join(folder, 'objects/pack');
  const name = readdirSync(packs).find((one) => one.endsWith('.pack')) as string;
  return readFileSync(join(packs, name));
}

interface Swept {
  streams: number;
  streamedBytes: number;
}

function sweepsOf(pack: Buffer, budgetBytes: number, swept: Swept) {
  return {
    budgetBytes,
    when: 'always' as const,
    stream: (offset: number, length: number) => {
      swept.streams++;
      swept.streamedBytes += length;
      return inChunks(pack.subarray(offset, offset + length), 1_013);
    },
  };
}

/** Nothing of the first pass is kept: every delta is read back. */
const memoryBytes = 0;

test('what is swept up is not read again, and the idx is what git makes', async () => {
  const { folder, commits } = makeRandomHistory({ seed: 3, commits: 80, skewedClocks: false });
  gitSync(['repack', '-adfq', '--depth=30'], { cwd: folder });
  const pack = packOf(folder);
  const swept: Swept = { streams: 0, streamedBytes: 0 };
  const { indexed } = await expectAsGit(pack, { memoryBytes, tips: commits, sweeps: sweepsOf(pack, 1 << 20, swept) });
  expect(indexed.stats.bytesRead).toBe(0);
  expect(swept.streams).toBe(1);
  expect(swept.streamedBytes).toBeLessThan(pack.length);
});

test('a small budget costs more sweeps, and families that do not fit are read by ranges', async () => {
  const folder = emptyRepository('sweeps');
  addHistory(folder, { commits: 120 });
  gitSync(['repack', '-adfq', '--depth=200', '--window=200'], { cwd: folder });
  const pack = packOf(folder);
  for (const budgetBytes of [0, 300, 3_000]) {
    const swept: Swept = { streams: 0, streamedBytes: 0 };
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const { indexed } = await expectAsGit(pack, { memoryBytes, sweeps: sweepsOf(pack, budgetBytes, swept) });
    expect(swept.streams).toBeLessThan(indexed.objects);
    if (budgetBytes === 0) expect(indexed.stats.bytesRead).toBeGreaterThan(0);
    else expect(swept.streams).toBeGreaterThan(1);
  }
});

test('a pack that is written is swept where its deltas do not fit into memory, and only there', async () => {
  const folder = emptyRepository('written');
  addHistory(folder, { commits: 400 });
  gitSync(['repack', '-adfq', '--depth=200', '--window=200'], { cwd: folder });
  const pack = packOf(folder);
  const read = { bytes: 0, largest: 0 };
  const index = async (memory: number): Promise<void> => {
    Object.assign(read, { bytes: 0, largest: 0 });
    const storage = createMemoryStorage();
    const writer = await storage.openWriter('objects/pack/pack-x.pack');
    const plain = writer.read.bind(writer);
    writer.read = (offset, length) => {
      read.bytes += length;
      read.largest = Math.max(read.largest, length);
      return plain(offset, length);
    };
    await indexPack({
      chunks: inChunks(pack, 10_000),
      writer,
      existing: undefined,
      tips: [],
      memoryBytes: memory,
      sweeps: sweepsOfWriter(writer, 1 << 20),
      openScratch: () => storage.openWriter('scratch'),
      signal: new AbortController().signal,
    });
  };
  await index(memoryBytes);
  expect(read.largest).toBeGreaterThan(200_000);
  expect(read.bytes).toBeLessThanOrEqual(pack.length);
  await index(16 << 20);
  // Blocks of bases alone.
  expect(read.largest).toBeLessThan(200_000);
  expect(read.bytes).toBeLessThan(2 * pack.length);
});
