/** Fills the disk at `node storage-on-full-disk.ts DIR`, then prints as JSON what the driver said and what works afterwards. */
import { readdir } from 'node:fs/promises';
import { openFsStorage } from '../../src/storage/drivers/fs.ts';

const folder = process.argv[2] as string;
const storage = await openFsStorage({ folder });
const outcome = async (work: () => Promise<unknown>): Promise<string> => {
  try {
    await work();
    return 'ok';
  } catch (error) {
    const { code, cause } = error as { code?: string; cause?: { code?: string } };
    return `${code} ${cause?.code}`;
  }
};
const writer = await storage.openWriter('big');
const writing = await outcome(async () => {
  while (true) await writer.write(new Uint8Array(100_000));
});
const whileFull = await outcome(() => storage.put('put', new Uint8Array(200_000)));
await writer.abort();
const afterAbort = await outcome(() => storage.put('small', new Uint8Array(200_000)));
const keys = (await storage.list('')).objects.map((object) => object.key);
await storage.close();
const names = (await readdir(folder, { recursive: true })).sort();
process.stdout.write(JSON.stringify({ writing, whileFull, afterAbort, keys, names }));
