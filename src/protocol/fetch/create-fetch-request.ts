/** Fetches of hotpack's own: what is not said is what a plain, complete, one-round fetch says. */
import type { FetchRequest } from '../fetch-request.ts';

/**
 * By default: v2, done, no haves, no filter, offset deltas, no thin pack (its missing bases would have to be here),
 * no progress.
 */
export function createFetchRequest(fields: Partial<FetchRequest>): FetchRequest {
  const done = fields.done ?? true;
  return {
    version: 2,
    wants: [],
    wantRefs: [],
    haves: [],
    shallows: [],
    deepen: { kind: 'none' },
    filter: { kind: 'none' },
    filterText: undefined,
    haveEnd: done ? 'done' : 'flush',
    waitForDone: false,
    thinPack: false,
    ofsDelta: true,
    includeTag: false,
    noProgress: true,
    sideBand: 'side-band-64k',
    sidebandAll: false,
    ackMode: 'multi_ack_detailed',
    noDone: true,
    agent: undefined,
    serverOptions: [],
    packfileUris: [],
    ...fields,
    done,
  };
}
