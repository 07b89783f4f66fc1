/**
 * One pack from a stream of bytes to files at rest. The engine verifies checksum, every object's name and connectivity while
 * it indexes; only then pack, rev and idx appear, in this order, under a name no manifest knows yet. Whatever fails
 * leaves nothing behind.
 */
import type { Storage } from '../../storage/contract.ts';
import { indexPack } from '../../pack/indexing/index-pack.ts';
import { packKeys } from '../keys.ts';
import { openPacks } from '../packs.ts';
import type { IngestParams, IngestResult } from '../tasks.ts';

/** What of the budget is for looking at packs that are here already; the rest is for the new one. */
const EXISTING_SHARE = 0.25;

export async function ingestPack(
  storage: Storage,
  params: IngestParams,
  chunks: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<IngestResult> {
  const { packFolder, packName, memoryBytes } = params;
  const keys = packKeys(packFolder, packName);
  const existing =
    params.existing.length === 0
      ? undefined
      : await openPacks(
          storage,
          { folder: packFolder, names: params.existing, cacheBytes: Math.floor(memoryBytes * EXISTING_SHARE) },
          signal,
        );
  try {
    const writer = await storage.openWriter(keys.pack, signal);
    let scratches = 0;
    try {
      const indexed = await indexPack({
        chunks,
        writer,
        existing: existing?.store,
        tips: params.tips,
        memoryBytes: Math.floor(memoryBytes * (existing === undefined ? 1 : 1 - EXISTING_SHARE)),
        openScratch: () => storage.openWriter(`${packFolder}/${packName}.scratch-${++scratches}`, signal),
        signal,
      });
      if (indexed.kind === 'empty') {
        await writer.abort();
        return { kind: 'empty' };
      }
      await writer.commit();
      await storage.put(keys.rev, indexed.rev, signal);
      await storage.put(keys.idx, indexed.idx, signal);
      const { checksum, objects, packBytes, tailOffset, tailObjects } = indexed;
      return { kind: 'written', packName, checksum, objects, packBytes, tailOffset, tailObjects };
    } catch (error) {
      await writer.abort();
      await storage.delete([keys.idx, keys.rev, keys.pack]);
      throw error;
    }
  } finally {
    await existing?.close();
  }
}
