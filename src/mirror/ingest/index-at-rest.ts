/**
 * A pack whose bytes lie in the store already gets its rev and idx: read once from its first byte to its last, ranges and readings
 * of a few MiB for deltas. It holds all bases of its deltas. Whatever fails leaves the pack as it was.
 */
import { HotpackError } from '../../bytes/error.ts';
import { iterateStream } from '../../bytes/streams.ts';
import { indexPack } from '../../pack/indexing/index-pack.ts';
import type { Storage } from '../../storage/contract.ts';
import { packKeys } from '../keys.ts';
import type { IndexParams, IngestResult } from '../tasks.ts';
import { openStoredPack } from './stored-pack.ts';

/** Of entries that one reading of the pack brings: an event on Workers has so many requests to the store. */
const SWEEP_BYTES = 8 * 1024 * 1024;

export async function indexAtRest(storage: Storage, params: IndexParams, signal: AbortSignal): Promise<IngestResult> {
  const { packFolder, packName, tips, memoryBytes } = params;
  const keys = packKeys(packFolder, packName);
  const reader = await storage.open(keys.pack, signal);
  if (reader.kind === 'absent') throw new HotpackError('storage_unavailable', 'the pack to be indexed is gone');
  let scratches = 0;
  try {
    const indexed = await indexPack({
      chunks: iterateStream(reader.stream(undefined, signal)),
      writer: openStoredPack(reader),
      existing: undefined,
      tips,
      memoryBytes,
      sweeps: {
        budgetBytes: SWEEP_BYTES,
        when: 'always',
        stream: (offset, length) => iterateStream(reader.stream({ offset, length }, signal)),
      },
      openScratch: () => storage.openWriter(`${packFolder}/${packName}.scratch-${++scratches}`, signal),
      signal,
    });
    if (indexed.kind === 'empty') return { kind: 'empty' };
    await storage.put(keys.rev, indexed.rev, signal);
    await storage.put(keys.idx, indexed.idx, signal);
    const { checksum, objects, packBytes, tailOffset, tailObjects } = indexed;
    return { kind: 'written', packName, checksum, objects, packBytes, tailOffset, tailObjects };
  } finally {
    await reader.close();
  }
}
