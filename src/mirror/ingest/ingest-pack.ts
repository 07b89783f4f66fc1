/**
 * One pack from a stream of bytes to files at rest. The engine verifies checksum, every object's name and connectivity while
 * it indexes; only then the files appear. Whatever fails leaves nothing behind.
 */
import type { Storage } from '../../storage/contract.ts';
import { indexPack } from '../../pack/indexing/index-pack.ts';
import { sweepsOfWriter } from '../../pack/indexing/resolve/pack-sweep.ts';
import { openPacks, putPack } from '../copy/packs.ts';
import type { IngestParams, IngestResult } from '../tasks.ts';

/** What of the budget is for looking at packs that are here already; the rest is for the new one. */
const EXISTING_SHARE = 0.25;
/** What of that is for reading the new one once more, where its deltas do not fit into memory. */
const SWEEP_SHARE = 0.25;

export async function ingestPack(
  storage: Storage,
  params: IngestParams,
  chunks: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<IngestResult> {
  const { packFolder, packName, memoryBytes } = params;
  const existing =
    params.existing.length === 0
      ? undefined
      : await openPacks(
          storage,
          { folder: packFolder, names: params.existing, cacheBytes: Math.floor(memoryBytes * EXISTING_SHARE) },
          signal,
        );
  try {
    let scratches = 0;
    const written = await putPack(
      storage,
      params,
      async (writer) => {
        const ownBytes = Math.floor(memoryBytes * (existing === undefined ? 1 : 1 - EXISTING_SHARE));
        const indexed = await indexPack({
          chunks,
          writer,
          existing: existing?.store,
          tips: params.tips,
          memoryBytes: ownBytes,
          sweeps: sweepsOfWriter(writer, Math.floor(ownBytes * SWEEP_SHARE)),
          openScratch: () => storage.openWriter(`${packFolder}/${packName}.scratch-${++scratches}`, signal),
          signal,
        });
        return indexed.kind === 'empty' ? undefined : indexed;
      },
      signal,
    );
    return written ?? { kind: 'empty' };
  } finally {
    await existing?.close();
  }
}
