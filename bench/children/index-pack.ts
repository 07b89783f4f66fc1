/** Child process of the index-pack row: indexes the pack at argv[2] into argv[3], prints one JSON line. */
import { createReadStream } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { resourceUsage } from 'node:process';
import { indexPack } from '../../src/pack/indexing/index-pack.ts';
import { sweepsOfWriter } from '../../src/pack/indexing/resolve/pack-sweep.ts';
import { openFileWriter } from '../support/file-writer.ts';

const [source, target] = process.argv.slice(2) as [string, string];
const memoryBytes = Number(process.env['MEMORY_BYTES'] ?? 128 * 1024 * 1024);
const writer = await openFileWriter(`${target}.pack`);
const indexed = await indexPack({
  chunks: createReadStream(source, { highWaterMark: 256 * 1024 }),
  writer,
  existing: undefined,
  tips: [],
  memoryBytes,
  sweeps: sweepsOfWriter(writer, memoryBytes / 4),
  openScratch: () => openFileWriter(`${target}.scratch`),
  signal: new AbortController().signal,
});
if (indexed.kind === 'indexed') {
  await writeFile(`${target}.idx`, indexed.idx);
  await writeFile(`${target}.rev`, indexed.rev);
}
await writer.commit();
await writer.close();
const { maxRSS } = resourceUsage();
console.log(
  JSON.stringify({
    peakBytes: maxRSS * 1024,
    stats: indexed.kind === 'indexed' ? indexed.stats : undefined,
  }),
);
