import { afterAll, beforeAll } from 'vitest';
import { createS3Storage } from '../../../src/storage/drivers/s3.ts';
import { startS3Server, type S3Server } from '../../support/s3-server.ts';
import { describeStorageContract } from '../../support/storage-contract.ts';

let server: S3Server;
beforeAll(async () => {
  server = await startS3Server();
});
afterAll(() => server.stop());

let runs = 0;
describeStorageContract('S3', async () => {
  const { bucket, region, endpoint, credentials } = server;
  const prefix = `run/${++runs}`;
  const open = (): ReturnType<typeof createS3Storage> =>
    createS3Storage({ bucket, region, endpoint, prefix, ...credentials });
  const storage = open();
  return {
    storage,
    survivesDeletion: false,
    isSlow: true,
    openSecond: async () => open(),
    countTraces: async () => server.store.objects.size + server.store.uploads.size,
    destroy: async () => {
      await storage.close();
      server.store.objects.clear();
      server.store.uploads.clear();
    },
  };
});
