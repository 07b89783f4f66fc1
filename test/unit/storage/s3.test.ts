/** The storage contract over S3, behind both caches: one in memory over one on disk. */
import { rmSync } from 'node:fs';
import { afterAll, beforeAll } from 'vitest';
import { withBlockCache } from '../../../src/storage/caching/block-cache.ts';
import { createMemoryBlocks } from '../../../src/storage/caching/memory-blocks.ts';
import { openDiskBlocks } from '../../../src/storage/drivers/disk-blocks.ts';
import { createS3Storage } from '../../../src/storage/drivers/s3.ts';
import type { DriverStorage } from '../../../src/storage/drivers/unstorage-driver.ts';
import { temporaryFolder } from '../../support/git.ts';
import { startS3Server, type S3Server } from '../../support/s3-server.ts';
import { describeStorageContract } from '../../support/storage-contract.ts';

let server: S3Server;
beforeAll(async () => {
  server = await startS3Server();
});
afterAll(() => server.stop());

let runs = 0;
describeStorageContract('S3 behind memory and disk', async () => {
  const { bucket, region, endpoint, credentials } = server;
  const prefix = `run/${++runs}`;
  const folder = temporaryFolder('blocks');
  const open = async (): Promise<DriverStorage> => {
    const s3 = createS3Storage({ bucket, region, endpoint, prefix, ...credentials });
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
    countTraces: async () => server.store.objects.size + server.store.uploads.size,
    destroy: async () => {
      await storage.close();
      server.store.objects.clear();
      server.store.uploads.clear();
      rmSync(folder, { recursive: true, force: true });
    },
  };
});
