/** A pack out of a mirror, as an answer in the making: what it is called, and how it is selected, streamed and counted. */
import { costOfWork } from '../../answers/answer-cost.ts';
import { type AnswerQuestion, tagsDigest } from '../../answers/answer-key.ts';
import type { Made } from '../../answers/contract.ts';
import type { MirrorSnapshot } from '../../mirror/copy/snapshot.ts';
import type { SelectionQuery } from '../../pack/selection.ts';
import { commonHaves } from '../../pack/walk/negotiate.ts';
import { rememberWholeSet } from '../../pack/writing/whole-set.ts';
import type { FetchRequest } from '../../protocol/fetch-request.ts';
import type { Repository } from '../../upstream/repository.ts';
import { digestOfTags } from './annotated-tags.ts';

export interface PackQuestion {
  /** Retained for this pack: released when it is made. */
  readonly snapshot: MirrorSnapshot;
  readonly query: SelectionQuery;
  readonly question: AnswerQuestion;
}

/** What of a request changes the pack and is no part of the query. */
type AskedPack = Pick<FetchRequest, 'ofsDelta' | 'includeTag'>;

/** The question that the mirror is asked: what names stand for is known, and of the haves only those count that are here. */
export function questionOf(
  repository: Pick<Repository, 'key'>,
  { request, snapshot, query }: Omit<PackQuestion, 'question'> & { readonly request: AskedPack },
): AnswerQuestion {
  return {
    repository: repository.key,
    wants: query.wants,
    haves: commonHaves(snapshot.store, query.haves),
    shallows: query.shallows,
    deepen: query.deepen,
    filter: query.filter,
    thin: query.thin,
    ofsDelta: request.ofsDelta,
    tags: request.includeTag ? digestOfTags(query.includeTags) : undefined,
  };
}

/** Selects and streams; lets go of the snapshot when it has ended, or failed to begin. */
export async function makePack({ snapshot, query, question }: PackQuestion, signal: AbortSignal): Promise<Made> {
  try {
    const pack = await snapshot.work.makePack({ query, ofsDelta: question.ofsDelta }, signal);
    const { shallow, unshallow, objects, addedTags, walked, whole } = pack.head;
    let deflated = 0;
    async function* chunks(): AsyncGenerator<Uint8Array, void, undefined> {
      const end = yield* pack.chunks;
      ({ deflated } = end);
      if (end.whole !== undefined) rememberWholeSet(snapshot.store, query, end.whole);
    }
    return {
      kind: 'pack',
      header: { shallowInfo: { shallow, unshallow }, wantedRefs: [] },
      chunks: chunks(),
      objects: () => objects,
      costUs: (packBytes) =>
        costOfWork(
          whole === undefined
            ? { walked, selected: objects, deflated, packBytes }
            : { walked, selected: 0, deflated: 0, packBytes: 0 },
        ),
      ...(question.tags === undefined ? {} : { variant: tagsDigest(addedTags) }),
      onEnd: () => {
        pack.close();
        snapshot.release();
      },
    };
  } catch (error) {
    snapshot.release();
    throw error;
  }
}
