/**
 * A process of its own over a folder: `node storage-process.ts count DIR KEY TIMES` increments a document, `… write DIR KEY BYTES` and
 * `… replace DIR KEY` work until they are killed; both print a line when they are in the middle of it.
 */
import { openFsStorage } from '../../src/storage/drivers/fs.ts';
import { bytesOf, increment } from './storage-contract/context.ts';

const [what, folder, key, count] = process.argv.slice(2) as [string, string, string, string];
const storage = await openFsStorage({ folder });
if (what === 'count') {
  for (let n = 0; n < Number(count); n++) await increment(storage, key);
  await storage.close();
} else if (what === 'write') {
  const writer = await storage.openWriter(key);
  await writer.write(bytesOf(Number(count)));
  process.stdout.write('writing\n');
  setInterval(() => undefined, 1000);
} else {
  process.stdout.write('replacing\n');
  while (true) await increment(storage, key);
}
