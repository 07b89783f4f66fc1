/**
 * Decides how a fetch is answered. Pure: what is here and what upstream shows come in as values, the plan goes out as one.
 */
import type { Oid } from '../../bytes/oid.ts';
import type { Deepen, SelectionQuery } from '../../pack/selection.ts';
import type { FetchRequest } from '../../protocol/fetch-request.ts';
import type { WantedRef } from '../../protocol/fetch/v2-answer.ts';
import type { RefsSnapshot } from '../../protocol/refs-snapshot.ts';
import { type AnnotatedTags, NO_TAGS } from './annotated-tags.ts';

export interface FetchState {
  /** Whether an object is in the mirror; undefined where there is no mirror. */
  readonly isHere: ((oid: Oid) => boolean) | undefined;
  /** Fresh where `dependsOnRefs(request)`, else as last known; undefined where nothing is known. */
  readonly refs: RefsSnapshot | undefined;
  /** For `include-tag`, and asked for only then. */
  readonly tags: () => AnnotatedTags;
}

export type FetchPlan =
  /**
   * Select from the mirror. `wantedRefs` is what `want-ref` names resolved to; `lackingTags` are to be got before, where they are to be
   * had, since they may have to go along.
   */
  | {
      readonly kind: 'select';
      readonly query: SelectionQuery;
      readonly wantedRefs: readonly WantedRef[];
      readonly lackingTags: readonly Oid[];
    }
  /** Everything needed but these is here: get them first, then plan again. */
  | { readonly kind: 'obtain'; readonly missing: readonly Oid[] }
  /** No ref of that name: `name` as the client wrote it. */
  | { readonly kind: 'unknown-ref'; readonly name: string }
  /** `cold`: nothing is here yet. `foreign`: only upstream can answer this. */
  | { readonly kind: 'pass-through'; readonly why: 'cold' | 'foreign' };

/** Where a short name is looked for, in git's order (gitrevisions, "refname"). */
const REF_RULES = ['', 'refs/', 'refs/tags/', 'refs/heads/', 'refs/remotes/'];

/** True where the answer is another one when refs move: then they must be fresh. */
export function dependsOnRefs(request: FetchRequest): boolean {
  return request.wantRefs.length > 0 || (request.deepen.kind === 'revs' && request.deepen.notRefs.length > 0);
}

/** A clone of everything that `wants` names, whatever history or blobs: its answer depends on nothing the client has. */
export function isCloneLike(request: FetchRequest): boolean {
  return request.done && request.haves.length === 0 && request.shallows.length === 0;
}

/** A clone-like request that takes histories to their roots, and all that they hold. */
export function wantsWholeHistory(request: FetchRequest): boolean {
  return isCloneLike(request) && request.deepen.kind === 'none' && request.filter.kind === 'none';
}

export function planFetch(request: FetchRequest, state: FetchState): FetchPlan {
  const { filter } = request;
  if (filter.kind === 'unsupported' || request.packfileUris.length > 0 || request.serverOptions.length > 0) {
    return { kind: 'pass-through', why: 'foreign' };
  }
  if (state.isHere === undefined) return { kind: 'pass-through', why: 'cold' };

  const wantedRefs: WantedRef[] = [];
  for (const name of request.wantRefs) {
    const oid = resolveFull(name, state.refs);
    if (oid === undefined) return { kind: 'unknown-ref', name };
    wantedRefs.push({ name, oid });
  }
  const deepen = resolveDeepen(request, state.refs);
  if (deepen === undefined) return { kind: 'pass-through', why: 'foreign' };

  const wants = [...new Set([...request.wants, ...wantedRefs.map((ref) => ref.oid)])];
  const needed = [
    ...wants,
    ...(filter.kind === 'sparse-oid' ? [filter.oid] : []),
    ...(deepen.kind === 'revs' ? deepen.not : []),
  ];
  const isHere = state.isHere;
  const missing = needed.filter((oid) => !isHere(oid));
  if (missing.length > 0) return { kind: 'obtain', missing };
  const { here: includeTags, lacking: lackingTags } = request.includeTag ? state.tags() : NO_TAGS;
  const { haves, shallows, thinPack: thin } = request;
  const query = { wants, haves, shallows, deepen, filter, includeTags, thin };
  return { kind: 'select', query, wantedRefs, lackingTags };
}

/** `undefined`: a name that is no ref, or more than one: upstream finds the words. */
function resolveDeepen(request: FetchRequest, refs: RefsSnapshot | undefined): Deepen | undefined {
  const { deepen } = request;
  if (deepen.kind !== 'revs') return deepen;
  const not: Oid[] = [];
  for (const name of deepen.notRefs) {
    const found = new Set(REF_RULES.flatMap((rule) => resolveFull(`${rule}${name}`, refs) ?? []));
    const [only] = found;
    if (only === undefined || found.size > 1) return undefined;
    not.push(only);
  }
  return { kind: 'revs', sinceSeconds: deepen.sinceSeconds, not };
}

function resolveFull(name: string, refs: RefsSnapshot | undefined): Oid | undefined {
  if (refs === undefined) return undefined;
  if (name === 'HEAD') return refs.head.kind === 'symref' || refs.head.kind === 'detached' ? refs.head.oid : undefined;
  return refs.refs.find((ref) => ref.name === name)?.oid;
}
