/** A pack out of a mirror, as an answer in the making: what it is called, and how it is selected, streamed and counted. */
import { costOfWork } from '../../answers/answer-cost.ts';
import { type AnswerQuestion, tagsDigest } from '../../answers/answer-key.ts';
import type { Made } from '../../answers/contract.ts';
import type { Mirror } from '../../mirror/mirror.ts';
import type { MirrorSnapshot } from '../../mirror/copy/snapshot.ts';
import type { Selection, SelectionQuery } from '../../pack/selection.ts';
import { createWalkCounters, type WalkOptions } from '../../pack/walk/contract.ts';
import { commonHaves } from '../../pack/walk/negotiate.ts';
import { selectObjects } from '../../pack/walk/select-objects.ts';
import { createPackCounters } from '../../pack/writing/pack-query.ts';
import { indexOfObject } from '../../pack/writing/selected-objects.ts';
import { streamPack } from '../../pack/writing/stream-pack.ts';
import { recallWholeSet, rememberWholeSet, wholeSetOf } from '../../pack/writing/whole-set.ts';
import type { FetchRequest } from '../../protocol/fetch-request.ts';
import type { Repository } from '../../upstream/repository.ts';
import { digestOfTags } from './annotated-tags.ts';

export interface PackQuestion {
  readonly mirror: Pick<Mirror, 'openScratch'>;
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
  { request, snapshot, query }: Omit<PackQuestion, 'mirror' | 'question'> & { readonly request: AskedPack },
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
export async function makePack(ask: PackQuestion, signal: AbortSignal): Promise<Made> {
  const { mirror, snapshot, query, question } = ask;
  const { store } = snapshot;
  const { ofsDelta } = question;
  try {
    const walked = createWalkCounters();
    const selection = await select(store, query, { signal, counters: walked });
    const { objects, clientHas, shallow, unshallow } = selection;
    const written = createPackCounters();
    const isWhole = wholeSetOf(objects) !== undefined && ofsDelta;
    return {
      kind: 'pack',
      header: { shallowInfo: { shallow, unshallow }, wantedRefs: [] },
      chunks: streamPack(
        store,
        { objects, clientHas, ofsDelta, thin: query.thin },
        { signal, counters: written, openScratch: () => mirror.openScratch() },
      ),
      objects: () => objects.length,
      costUs: () =>
        costOfWork({
          walked: walked.commitsRead + walked.treesRead + walked.tagsRead + walked.sizesAsked,
          selected: isWhole ? 0 : objects.length,
          deflated: written.deflated,
        }),
      ...(question.tags === undefined ? {} : { variant: variantOf(snapshot, query, selection) }),
      onEnd: () => snapshot.release(),
    };
  } catch (error) {
    snapshot.release();
    throw error;
  }
}

/** Walks nothing where it is known that everything is asked for. */
export async function select(
  store: MirrorSnapshot['store'],
  query: SelectionQuery,
  options: WalkOptions,
): Promise<Selection> {
  const whole = recallWholeSet(store, query);
  if (whole !== undefined) return whole;
  const selection = await selectObjects(store, query, options);
  rememberWholeSet(store, query, selection);
  return selection;
}

/** The tags that go along: with these the answer is another one than with others. */
function variantOf({ store }: MirrorSnapshot, query: SelectionQuery, { objects }: Selection): string {
  const added = query.includeTags.filter(({ tag }) => indexOfObject(objects, store.find(tag)) >= 0);
  return tagsDigest(added.map(({ tag }) => tag));
}
