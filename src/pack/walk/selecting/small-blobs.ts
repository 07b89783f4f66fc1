/**
 * blob:limit: selects the blobs whose size is below a limit. Sizes are asked for some at a time, in the order given.
 */
import type { WalkContext } from '../walk-context.ts';
import type { Bitset } from '../bitset.ts';

const SIZES_AT_ONCE = 32;

export async function addSmallBlobs(
  context: WalkContext,
  blobs: readonly number[],
  limit: { readonly below: number; readonly selected: Bitset },
): Promise<void> {
  const { store, signal, counters, pace } = context;
  const { below, selected } = limit;
  for (let at = 0; at < blobs.length; at += SIZES_AT_ONCE) {
    const batch = blobs.slice(at, at + SIZES_AT_ONCE);
    const sizes = await Promise.all(batch.map(async (blob) => await store.sizeOf(blob, signal)));
    for (const [index, blob] of batch.entries()) {
      if ((sizes[index] as number) < below) selected.add(blob);
      counters.sizesAsked++;
      if (pace.spend(0)) await pace.pause();
    }
  }
}
