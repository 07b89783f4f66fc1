/**
 * Whether one fetch is a clone: someone who has nothing asks for history. Decided from the parsed request alone, so that every
 * protocol version, encoding and source counts alike, and each clone once:
 *
 * - no `have`, and `done`: a v0 shallow clone asks for its boundary in a POST of its own, which is not done;
 * - with a filter and no deepening, one want at least must be a commit or a tag: a partial clone fetches blobs and trees later
 *   on in requests that look the same but for what they want.
 */
import type { Oid } from '../bytes/oid.ts';
import type { FetchRequest } from '../protocol/fetch-request.ts';

export interface CloneFacts {
  /** What upstream's refs point to, directly or through tags, as last known. */
  readonly isAdvertised: (oid: Oid) => boolean;
  /** Of objects that are known here, where it is known. */
  readonly typeHere: (oid: Oid) => 'commit' | 'tag' | 'tree' | 'blob' | undefined;
}

export function isClone(request: FetchRequest, facts: CloneFacts): boolean {
  if (!mayBeClone(request)) return false;
  return !dependsOnWants(request) || request.wants.some((oid) => facts.isAdvertised(oid) || isHistory(facts, oid));
}

/** True where what the wants are decides. */
export function dependsOnWants(request: FetchRequest): boolean {
  const isPartial = request.filter.kind !== 'none' && request.deepen.kind === 'none';
  return mayBeClone(request) && isPartial && request.wantRefs.length === 0;
}

function mayBeClone(request: FetchRequest): boolean {
  const { haves, done, wants, wantRefs } = request;
  return haves.length === 0 && done && wants.length + wantRefs.length > 0;
}

function isHistory(facts: CloneFacts, oid: Oid): boolean {
  const type = facts.typeHere(oid);
  return type === 'commit' || type === 'tag';
}
