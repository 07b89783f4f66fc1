/**
 * The bitmap of one pack that is at rest, put beside it whole or not at all. A file that is there already is replaced.
 */
import { buildBitmap } from '../../../pack/bitmap/building/build-bitmap.ts';
import type { Storage } from '../../../storage/contract.ts';
import { packKeys } from '../../keys.ts';
import { openPacks } from '../../copy/packs.ts';
import type { BitmapParams, BitmapResult } from '../../tasks.ts';

export async function bitmapAtRest(storage: Storage, params: BitmapParams, signal: AbortSignal): Promise<BitmapResult> {
  const { packFolder, packName, packChecksum, tips, memoryBytes } = params;
  const share = Math.floor(memoryBytes / 2);
  const packs = await openPacks(storage, { folder: packFolder, names: [packName], cacheBytes: share }, signal);
  try {
    const built = await buildBitmap({ store: packs.store, packChecksum, tips, budgetBytes: share }, { signal });
    if (built.kind !== 'built') return built;
    await storage.put(packKeys(packFolder, packName).bitmap, built.file, signal);
    return { kind: 'built', commits: built.commits, fileBytes: built.file.length };
  } finally {
    await packs.close();
  }
}
