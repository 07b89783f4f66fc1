/** The storage contract over S3, behind both caches: one in memory over one on disk. */
import { rmSync } from 'node:fs';
import { afterAll, beforeAll, describe } from 'vitest';
import { withBlockCache } from '../../../src/storage/caching/block-cache.ts';
import { createMemoryBlocks } from '../../../src/storage/caching/memory-blocks.ts';
import { openDiskBlocks } from '../../../src/storage/drivers/disk-blocks.ts';
import { createS3Storage } from '../../../src/storage/drivers/s3.ts';
import type { S3Options } from '../../../src/storage/drivers/s3/client.ts';
import type { DriverStorage } from '../../../src/storage/drivers/unstorage-driver.ts';
import { temporaryFolder } from '../../support/git.ts';
import { openNamedS3, withoutNamedS3 } from '../../support/named-s3.ts';
import { startS3Server, type S3Server } from '../../support/s3-server.ts';
import { describeStorageContract } from '../../support/storage-contract.ts';
import type { StorageUnderTest } from '../../support/storage-contract/context.ts';

interface EmptyBucket {
  readonly options: S3Options;
  readonly count: () => Promise<number>;
  readonly clear: () => Promise<void>;
}

async function behindCaches({ options, count, clear }: EmptyBucket): Promise<StorageUnderTest> {
  const folder = temporaryFolder('blocks');
  const open = async (): Promise<DriverStorage> => {
    const s3 = createS3Storage(options);
    const disk = await openDiskBlocks({ folder, maxBytes: 4_000_000 });
    const overDisk = withBlockCache(s3, { blocks: disk, maxReadBytes: Number.POSITIVE_INFINITY, sharesReads: true });
    const memory = createMemoryBlocks(1_000_000);
    return withBlockCache(overDisk, { blocks: memory, maxReadBytes: 500_000, sharesReads: true });
  };
  const storage = await open();
  return {
    storage,
    survivesDeletion: false,
    isSlow: true,
    openSecond: open,
    countTraces: count,
    destroy: async () => {
      await storage.close();
      await clear();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

describe('the server of the tests', () => {
  let server: S3Server;
  beforeAll(async () => {
    server = await startS3Server();
  });
  afterAll(() => server.stop());
  let runs = 0;
  describeStorageContract('S3 behind memory and disk', () => {
    const { bucket, region, endpoint, credentials, store } = server;
    return behindCaches({
      options: { bucket, region, endpoint, prefix: `run/${++runs}`, ...credentials },
      count: async () => store.objects.size + store.uploads.size,
      clear: async () => {
        store.objects.clear();
        store.uploads.clear();
      },
    });
  });
});

describe.skipIf(withoutNamedS3 !== '')(`any server${withoutNamedS3}`, () => {
  describeStorageContract('S3 behind memory and disk', () => behindCaches(openNamedS3()));
});
