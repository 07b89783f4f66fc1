/**
 * The annotated tags that `include-tag` may add: upstream adds each one whose object goes along, so that one that is not here
 * has to be fetched before. Gathered once for each pair of refs and packs.
 */
import { tagsDigest } from '../../answers/answer-key.ts';
import type { Oid } from '../../bytes/oid.ts';
import type { RefsSnapshot } from '../../protocol/refs-snapshot.ts';

export interface TagHere {
  readonly tag: Oid;
  readonly peeled: Oid;
}

export interface AnnotatedTags {
  readonly here: readonly TagHere[];
  /** Tags that are not here, of objects that are. */
  readonly lacking: readonly Oid[];
}

export const NO_TAGS: AnnotatedTags = { here: [], lacking: [] };

interface Finder {
  find(oid: Oid): number;
}

const gathered = new WeakMap<RefsSnapshot, { readonly store: Finder; readonly tags: AnnotatedTags }>();
const digests = new WeakMap<readonly TagHere[], string>();

export function annotatedTags(refs: RefsSnapshot, store: Finder): AnnotatedTags {
  const present = gathered.get(refs);
  if (present?.store === store) return present.tags;
  const here: TagHere[] = [];
  const lacking: Oid[] = [];
  for (const { name, oid, peeled } of refs.refs) {
    if (peeled === undefined || !name.startsWith('refs/tags/')) continue;
    if (store.find(oid) >= 0) here.push({ tag: oid, peeled });
    else if (store.find(peeled) >= 0) lacking.push(oid);
  }
  const tags = { here, lacking };
  gathered.set(refs, { store, tags });
  return tags;
}

/** 40 hex digits. */
export function digestOfTags(tags: readonly TagHere[]): string {
  const present = digests.get(tags);
  if (present !== undefined) return present;
  const digest = tagsDigest(tags.flatMap(({ tag, peeled }) => [tag, peeled]));
  digests.set(tags, digest);
  return digest;
}
