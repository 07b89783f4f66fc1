/**
 * A process of its own over a folder of blocks, and over a disk of its own where there is one: `node blocks-process.ts write DIR` puts
 * blocks until it is killed, and prints a line when there are some; `… fill DIR COUNT` puts so many, one after the other, and prints
 * as JSON which of them are there afterwards, and how many are not what was put.
 */
import { openDiskBlocks } from '../../src/storage/drivers/disk-blocks.ts';
import { bytesOf, equalBytes } from './storage-contract/context.ts';

const BLOCK_BYTES = 1024 * 1024;
const [what, folder, count] = process.argv.slice(2) as [string, string, string];
const open = (): ReturnType<typeof openDiskBlocks> => openDiskBlocks({ folder, maxBytes: 1024 * BLOCK_BYTES });
const put = (n: number): void => blocks.put(`block ${n}`, bytesOf(BLOCK_BYTES, n));
let blocks = await open();
if (what === 'write') {
  for (let n = 0, isTold = false; ; n++) {
    put(n);
    // As many as may wait are on their way at any moment.
    if (n % 8 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    if (isTold || (await blocks.get('block 0')) === undefined) continue;
    process.stdout.write('writing\n');
    isTold = true;
  }
}
const kept: number[] = [];
let wrong = 0;
for (let n = 0; n < Number(count); n++) {
  put(n);
  // It is written then, or was not to be.
  await blocks.close();
  blocks = await open();
}
for (let n = 0; n < Number(count); n++) {
  const found = await blocks.get(`block ${n}`);
  if (found === undefined) continue;
  kept.push(n);
  if (!equalBytes(found, bytesOf(BLOCK_BYTES, n))) wrong++;
}
process.stdout.write(JSON.stringify({ kept, wrong }));
