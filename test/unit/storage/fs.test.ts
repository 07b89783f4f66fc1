import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openFsStorage } from '../../../src/storage/drivers/fs.ts';
import { describeStorageContract } from '../../support/storage-contract.ts';
import type { StorageUnderTest } from '../../support/storage-contract/context.ts';

describeStorageContract('fs', () => open(false));
describeStorageContract('fs, small reads in place', () => open(true));

async function open(readsInPlace: boolean): Promise<StorageUnderTest> {
  const folder = await mkdtemp(join(tmpdir(), 'hotpack-storage-'));
  const storage = await openFsStorage({ folder, readsInPlace });
  return {
    storage,
    openSecond: () => openFsStorage({ folder, readsInPlace }),
    countTraces: async () => (await readdir(folder, { recursive: true })).length,
    destroy: async () => {
      await storage.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
