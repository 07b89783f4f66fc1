/**
 * include-tag: an annotated tag is sent along with the object that it finally names, and so are the tags it
 * reaches that object through.
 */
import type { Oid } from '../../../bytes/oid.ts';
import { OBJ_TAG } from '../../codec/object-type.ts';
import type { Bitset } from '../bitset.ts';
import { missingReference, type WalkContext } from '../walk-context.ts';

export async function addTagsOfSelected(
  context: WalkContext,
  tags: readonly { readonly tag: Oid; readonly peeled: Oid }[],
  selected: Bitset,
): Promise<void> {
  const { store, pace } = context;
  const due: number[] = [];
  for (const { tag, peeled } of tags) {
    const object = store.find(tag);
    const target = store.find(peeled);
    if (object < 0 || target < 0 || !selected.has(target)) continue;
    due.push(object);
  }
  for (let object of due) {
    while (!selected.has(object)) {
      selected.add(object);
      const { target, type } = await context.tag(object);
      if (type !== OBJ_TAG) break;
      if (target < 0) throw missingReference(store, object);
      object = target;
      if (pace.spend(0)) await pace.pause();
    }
  }
}
