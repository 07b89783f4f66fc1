/**
 * The canonical name of a question (DESIGN 7): two requests with one key may be given the same bytes. Order and repeats of
 * wants mean nothing; agent, progress and framing change nothing below the sections; what depends on refs brings
 * what it depends on.
 */
import type { FetchRequest } from '../protocol/fetch-request.ts';
import type { RefsSnapshot } from '../protocol/refs-snapshot.ts';
import { sha1HexOf } from '../bytes/sha1.ts';

export function answerKey(repository: string, request: FetchRequest, refs: RefsSnapshot | undefined): string {
  const usesTags = request.includeTag;
  const usesNames =
    request.wantRefs.length > 0 || (request.deepen.kind === 'revs' && request.deepen.notRefs.length > 0);
  const shown = (refs?.refs ?? []).filter((ref) => usesNames || (usesTags && ref.peeled !== undefined));
  const question = {
    wants: request.wants.toSorted(),
    wantRefs: request.wantRefs.toSorted(),
    haves: [...new Set(request.haves)].toSorted(),
    shallows: request.shallows.toSorted(),
    deepen: request.deepen,
    filter: request.filter,
    thinPack: request.thinPack && request.haves.length > 0,
    ofsDelta: request.ofsDelta,
    includeTag: request.includeTag,
    refs: shown.map((ref) => `${ref.oid} ${ref.name}`),
  };
  return `${repository} ${sha1HexOf(new TextEncoder().encode(JSON.stringify(question)))}`;
}
