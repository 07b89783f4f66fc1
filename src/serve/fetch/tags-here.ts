/** The annotated tags that `include-tag` can add: those that are here. Gathered once for each pair of refs and packs. */
import { tagsDigest } from '../../answers/answer-key.ts';
import type { Oid } from '../../bytes/oid.ts';
import type { RefsSnapshot } from '../../protocol/refs-snapshot.ts';

export interface TagHere {
  readonly tag: Oid;
  readonly peeled: Oid;
}

interface Finder {
  find(oid: Oid): number;
}

const gathered = new WeakMap<RefsSnapshot, { readonly store: Finder; readonly tags: readonly TagHere[] }>();
const digests = new WeakMap<readonly TagHere[], string>();

export function tagsHere(refs: RefsSnapshot, store: Finder): readonly TagHere[] {
  const present = gathered.get(refs);
  if (present?.store === store) return present.tags;
  const tags = refs.refs.flatMap(({ name, oid, peeled }) =>
    name.startsWith('refs/tags/') && peeled !== undefined && store.find(oid) >= 0 ? [{ tag: oid, peeled }] : [],
  );
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
