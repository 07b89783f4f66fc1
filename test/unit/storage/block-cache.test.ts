/** What the caches in front of a store keep, and what becomes of them. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readAllStream } from '../../../src/bytes/streams.ts';
import { withBlockCache, type Blocks } from '../../../src/storage/caching/block-cache.ts';
import { createMemoryBlocks } from '../../../src/storage/caching/memory-blocks.ts';
import type { StorageReader } from '../../../src/storage/contract.ts';
import { openDiskBlocks } from '../../../src/storage/drivers/disk-blocks.ts';
import { createS3Storage } from '../../../src/storage/drivers/s3.ts';
import type { DriverStorage } from '../../../src/storage/drivers/unstorage-driver.ts';
import { temporaryFolder } from '../../support/git.ts';
import { startS3Server, type S3Server } from '../../support/s3-server.ts';
import { bytesOf, equalBytes, range } from '../../support/storage-contract/context.ts';

const MIB = 1024 * 1024;
const whole = bytesOf(3 * MIB + 17);
let server: S3Server;
let folder: string;
const opened: DriverStorage[] = [];

beforeEach(async () => {
  server = await startS3Server();
  folder = temporaryFolder('blocks');
});
afterEach(async () => {
  for (const one of opened.splice(0)) await one.close();
  await server.stop();
});

function over(blocks: Blocks, maxReadBytes = Number.POSITIVE_INFINITY): DriverStorage {
  const { bucket, region, endpoint, credentials } = server;
  const s3 = createS3Storage({ bucket, region, endpoint, prefix: '', ...credentials });
  const storage = withBlockCache(s3, { blocks, maxReadBytes, sharesReads: true });
  opened.push(storage);
  return storage;
}

const overDisk = async (maxBytes = 100 * MIB): Promise<DriverStorage> =>
  over(await openDiskBlocks({ folder, maxBytes }));

async function openReader(storage: DriverStorage, key = 'k'): Promise<StorageReader> {
  const reader = await storage.open(key);
  if (reader.kind === 'absent') throw new Error(`${key} is absent`);
  return reader;
}

async function expectRange(reader: StorageReader, offset: number, length: number): Promise<void> {
  const read = await reader.read(offset, length);
  expect(equalBytes(read, whole.subarray(offset, offset + length))).toBe(true);
  // What is handed out is the caller's.
  read.fill(0xee);
}

const gets = (): number => server.calls.filter((call) => call.startsWith('GetObject')).length;

describe('in memory', () => {
  test('a range costs one read, once, and neighbours of what is here only what is missing', async () => {
    const storage = over(createMemoryBlocks(10 * MIB));
    await storage.put('k', whole);
    const reader = await openReader(storage);
    await Promise.all([expectRange(reader, 200_000, 300_000), expectRange(reader, 200_000, 300_000)]);
    expect(gets()).toBe(1);
    await expectRange(reader, 131_072, 393_216);
    expect(gets()).toBe(1);
    await expectRange(reader, 100_000, 900_000);
    expect(gets()).toBe(3);
    const stream = await readAllStream(reader.stream(), whole.length);
    expect(equalBytes(stream, whole)).toBe(true);
    await expectRange(await openReader(storage), 0, whole.length);
    await storage.put('k', bytesOf(10, 3));
    expect(await (await openReader(storage)).read(0, 10)).toEqual(bytesOf(10, 3));
  });

  test('holds its bound, keeps what was used last and nothing of long reads', async () => {
    const storage = over(createMemoryBlocks(2 * 128 * 1024), 200_000);
    await storage.put('k', whole);
    const reader = await openReader(storage);
    for (const block of [0, 1, 0, 2]) await expectRange(reader, block * 131_072, 10);
    expect(gets()).toBe(3);
    await expectRange(reader, 0, 10);
    expect(gets()).toBe(3);
    await expectRange(reader, 131_072, 10);
    expect(gets()).toBe(4);
    await expectRange(reader, MIB, 300_000);
    await expectRange(reader, MIB, 300_000);
    expect(gets()).toBe(6);
    await readAllStream(reader.stream(), whole.length);
    await expectRange(reader, 131_072, 10);
    expect(gets()).toBe(7);
  });
});

describe('on disk', () => {
  /** Fills the cache and ends the process’s part of it. */
  async function filled(): Promise<void> {
    const storage = await overDisk();
    await storage.put('k', whole);
    await expectRange(await openReader(storage), 0, whole.length);
    await storage.close();
    server.calls.length = 0;
  }

  test('outlives the process', async () => {
    await filled();
    expect(readdirSync(folder)).toHaveLength(4);
    const reader = await openReader(await overDisk());
    expect(equalBytes(await readAllStream(reader.stream(), whole.length), whole)).toBe(true);
    await expectRange(reader, 5, 2 * MIB);
    expect(gets()).toBe(0);
  });

  test('that is damaged, cut or gone is read again', async () => {
    await filled();
    writeFileSync(join(folder, 'tmp-0123'), 'left by a killed process');
    const [one, two, three] = readdirSync(folder) as [string, string, string];
    const bytes = readFileSync(join(folder, one));
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 1;
    writeFileSync(join(folder, one), bytes);
    truncateSync(join(folder, two), 2);
    rmSync(join(folder, three));
    const storage = await overDisk();
    const reader = await openReader(storage);
    await expectRange(reader, 0, whole.length);
    expect(gets()).toBeGreaterThan(0);
    // Blocks are being written there.
    rmSync(folder, { recursive: true, maxRetries: 10, retryDelay: 10 });
    await expectRange(reader, 0, whole.length);
    await storage.close();
    expect(readdirSync(folder).filter((name) => name.startsWith('tmp-'))).toEqual([]);
  });

  test('of a process that is killed is whole or not there, and nothing of it lies about', async () => {
    const program = join(import.meta.dirname, '../../support/blocks-process.ts');
    for (const afterMs of [0, 5, 11]) {
      const child = spawn(process.execPath, [program, 'write', folder], { stdio: ['ignore', 'pipe', 'inherit'] });
      await once(child.stdout, 'data');
      await sleep(afterMs);
      child.kill('SIGKILL');
      await once(child, 'exit');
      const blocks = await openDiskBlocks({ folder, maxBytes: 2000 * MIB });
      const found = await Promise.all(range(1000).map(async (n) => blocks.get(`block ${n}`)));
      expect(found.some((bytes) => bytes !== undefined)).toBe(true);
      for (const [n, bytes] of found.entries()) {
        if (bytes !== undefined) expect(equalBytes(bytes, bytesOf(MIB, n))).toBe(true);
      }
      expect(readdirSync(folder).filter((name) => name.startsWith('tmp-'))).toEqual([]);
      await blocks.close();
    }
  });

  test('holds its bound, also after a restart', async () => {
    await filled();
    const storage = await overDisk(2.5 * MIB);
    const reader = await openReader(storage);
    await expectRange(reader, 3 * MIB, 17);
    await storage.put('other', bytesOf(1000));
    await (await openReader(storage, 'other')).read(0, 1000);
    await storage.close();
    const bytes = readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
    expect(bytes).toBeLessThanOrEqual(2.5 * MIB);
  });

  test('that cannot be written is done without', async () => {
    writeFileSync(join(folder, 'file'), '');
    const blocks = await openDiskBlocks({ folder: join(folder, 'file', 'below'), maxBytes: MIB });
    const storage = over(blocks);
    await storage.put('k', whole);
    const reader = await openReader(storage);
    await expectRange(reader, 0, whole.length);
    await expectRange(reader, 0, whole.length);
    expect(gets()).toBe(2);
  });
});
