/**
 * Of some objects that are to lie in a pack of their own: which bases of their stored deltas other packs hold that stand before
 * it. Entries' headers alone are looked at, in the order in which they lie.
 *
 * Memory: two bits an object of the store, 4 bytes for each of the objects of a pack, two windows.
 */
import { createEntryHeader, parseEntryHeader } from '../codec/entry-header.ts';
import { OBJ_OFS_DELTA, OBJ_REF_DELTA } from '../codec/object-type.ts';
import type { ObjectStore } from '../object-store.ts';
import type { PackedObjects } from '../reading/packed-objects.ts';
import { Bitset } from '../walk/bitset.ts';
import { planWindows } from '../writing/windows/pack-windows.ts';
import { readAhead } from '../writing/windows/read-ahead.ts';
import { SelectedObjects } from '../writing/selected-objects.ts';

/** Canonical numbers of those in `lenders` that deltas of `objects` are built on. */
export async function lentBases(
  store: ObjectStore & PackedObjects,
  sets: { readonly objects: Bitset; readonly lenders: Bitset },
  signal: AbortSignal,
): Promise<Bitset> {
  const { objects, lenders } = sets;
  const lent = new Bitset(store.objectCount);
  const selected = new SelectedObjects(objects.toNumbers(), store);
  const header = createEntryHeader();
  for (let pack = 0; pack < store.packCount; pack++) {
    const starts = store.startsIn(pack);
    const positions = selected.positionsIn(pack);
    // oxlint-disable-next-line no-await-in-loop -- in the order of the pack
    for await (const { window, bytes } of readAhead(store, pack, planWindows(starts, positions), { signal })) {
      for (let i = window.first; i < window.last; i++) {
        const offset = starts[positions[i] as number] as number;
        const headerBytes = parseEntryHeader(bytes, offset - window.from, bytes.length, header);
        const isNamed = header.type === OBJ_REF_DELTA;
        // What is no header is found out where the entry is copied.
        if (headerBytes < 0 || (!isNamed && header.type !== OBJ_OFS_DELTA)) continue;
        const base = isNamed
          ? store.findBaseBytes(bytes, header.baseOidAt, pack)
          : store.objectAtOffset(pack, offset - header.baseDistance);
        if (base >= 0 && !objects.has(base) && lenders.has(base)) lent.add(base);
      }
    }
  }
  return lent;
}
