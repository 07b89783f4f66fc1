/**
 * Whether everything that the objects of some packs refer to is in the packs that they are to stand among: their commits, trees
 * and tags are read once each, in the order in which they lie. A pack of class `branches` refers to packs of that class alone.
 *
 * Memory: the tables of all packs, and the budget.
 */
import { OBJ_BLOB } from '../../../pack/codec/object-type.ts';
import { forEachLink } from '../../../pack/indexing/connect/object-links.ts';
import { Pacer } from '../../../pack/indexing/pacer.ts';
import type { Storage } from '../../../storage/contract.ts';
import { openPacks } from '../../copy/packs.ts';
import type { CheckParams, CheckResult } from '../../tasks.ts';

/** Rejects with `malformed_pack` where an object is none, with `missing_object` where a pack is not there. */
export async function checkAtRest(storage: Storage, params: CheckParams, signal: AbortSignal): Promise<CheckResult> {
  const { packFolder, packs, closedPacks, checked, memoryBytes } = params;
  const place = { folder: packFolder, names: packs, closedPacks, cacheBytes: memoryBytes };
  const { store, close } = await openPacks(storage, place, signal);
  try {
    const pacer = new Pacer(signal);
    let isClosed = true;
    for (const name of checked) {
      const pack = packs.indexOf(name);
      const lastPack = (pack < closedPacks ? closedPacks : packs.length) - 1;
      for (let position = 0; position < store.objectsIn(pack); position++) {
        const canonical = store.canonical(store.objectAtPosition(pack, position));
        if ((await store.typeOf(canonical, signal)) === OBJ_BLOB) continue;
        const { type, content } = store.readCached(canonical) ?? (await store.read(canonical, signal));
        forEachLink(type, content, { start: 0, end: content.length }, (table, at) => {
          isClosed &&= store.findBaseBytes(table, at, lastPack) >= 0;
        });
        if (!isClosed) return { kind: 'open' };
        if (pacer.spend(content.length)) await pacer.breathe();
      }
    }
    return { kind: 'closed' };
  } finally {
    await close();
  }
}
