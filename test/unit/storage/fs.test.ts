import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openFsStorage } from '../../../src/storage/drivers/fs.ts';
import { describeStorageContract } from '../../support/storage-contract.ts';

describeStorageContract('fs', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'hotpack-storage-'));
  const storage = await openFsStorage({ folder });
  return {
    storage,
    openSecond: () => openFsStorage({ folder }),
    countTraces: async () => (await readdir(folder, { recursive: true })).length,
    destroy: async () => {
      await storage.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
});
