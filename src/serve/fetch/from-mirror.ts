/**
 * Answers out of what is here: negotiation, then the pack. It is taken as it was stored, followed while it is made for
 * somebody else, or made: selected from the mirror and streamed out of stored entries.
 */
import { answerKey, type AnswerQuestion } from '../../answers/answer-key.ts';
import type { StoredAnswer } from '../../answers/stored/stored-answers.ts';
import { forOneTaker, giveBack } from '../../bytes/give-back.ts';
import type { MirrorSnapshot } from '../../mirror/copy/snapshot.ts';
import type { SelectionQuery } from '../../pack/selection.ts';
import { streamWholeSet } from '../../pack/writing/stream-whole-set.ts';
import { recallWholeSet, type WholeSet } from '../../pack/writing/whole-set.ts';
import type { FetchRequest } from '../../protocol/fetch-request.ts';
import { writeV0Answer } from '../../protocol/fetch/v0-answer.ts';
import { frameBand, PACK_BAND } from '../../protocol/side-band/frame.ts';
import type { ShallowInfo, WantedRef } from '../../protocol/fetch/v2-answer.ts';
import { planV2Answer, writeV2Answer } from '../../protocol/fetch/v2-answer.ts';
import { followedResponse } from '../body/followed-response.ts';
import { storedResponse } from '../body/stored-response.ts';
import { makePack, questionOf } from './mirror-pack.ts';
import type { Serving } from '../services.ts';
import { uploadPackResponse } from '../services.ts';

export interface MirrorFetch {
  readonly request: FetchRequest;
  /** Retained for this answer: released when it is made. */
  readonly snapshot: MirrorSnapshot;
  readonly query: SelectionQuery;
  readonly wantedRefs: readonly WantedRef[];
}

const NOTHING_MOVES: ShallowInfo = { shallow: [], unshallow: [] };

/** Takes over the snapshot, also where it rejects. */
export async function answerFromMirror(serving: Serving, fetch: MirrorFetch): Promise<Response> {
  const { answers, context } = serving;
  const { request, snapshot, query } = fetch;
  let isTaken = false;
  try {
    const question = questionOf(context.repository, fetch);
    const { packFollows, writeHead } = await negotiate(serving, fetch, question);
    // The boundary is told before a pack that comes with a later request.
    const needsBoundary = request.version !== 2 && request.deepen.kind !== 'none';
    if (!packFollows && !needsBoundary) return whole(writeHead(NOTHING_MOVES));

    const stored = await answers.find(question);
    if (!packFollows) return whole(writeHead(stored === undefined ? await boundary(serving, fetch) : taken(stored)));
    if (stored !== undefined)
      return await storedResponse(serving, request, { answer: stored, head: writeHead(stored.header) });

    const copied = question.ofsDelta ? recallWholeSet(snapshot.store, query) : undefined;
    if (copied !== undefined) {
      isTaken = true;
      return copiedResponse(serving, fetch, { whole: copied, head: writeHead(NOTHING_MOVES) });
    }
    const joined = await answers.join(
      {
        question,
        make: (signal) => {
          isTaken = true;
          return makePack({ snapshot, query, question }, signal);
        },
      },
      context.signal,
    );
    switch (joined.kind) {
      case 'stored':
        return await storedResponse(serving, request, { answer: joined.answer, head: writeHead(joined.answer.header) });
      case 'following': {
        const { follower, began } = joined;
        const head = writeHead(follower.header.shallowInfo ?? NOTHING_MOVES);
        const note = began ? 'hotpack: packed from the mirror' : 'hotpack: shared with a fetch that is under way';
        return followedResponse(serving, request, { follower, head, note, source: began ? 'mirror' : 'pack-cache' });
      }
      default:
        throw new TypeError(`a mirror does not answer with ${joined.kind}`);
    }
  } finally {
    if (!isTaken) snapshot.release();
  }
}

/** Whole packs: a copy costs no more than reading it from another file would, so nobody follows it and it is not stored. */
function copiedResponse(
  serving: Serving,
  { request, snapshot }: MirrorFetch,
  { whole, head }: { readonly whole: WholeSet; readonly head: Uint8Array },
): Response {
  const follower = {
    packets: (signal: AbortSignal) => ownPackets(streamWholeSet(snapshot.store, whole, { signal })),
    onProgress: () => undefined,
    leave: () => snapshot.release(),
  };
  return followedResponse(serving, request, {
    follower,
    head,
    note: 'hotpack: copied from the mirror',
    source: 'mirror',
  });
}

/** Framed by one who alone reads them: what was copied is given back at once, and so is what was sent. */
async function* ownPackets(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of chunks) {
    for (const packets of frameBand(PACK_BAND, chunk, 'side-band-64k')) yield forOneTaker(packets);
    giveBack(chunk);
  }
}

interface Negotiated {
  readonly packFollows: boolean;
  /** Everything in front of the pack. */
  readonly writeHead: (shallowInfo: ShallowInfo) => Uint8Array;
}

async function negotiate(
  serving: Serving,
  { request, snapshot, query, wantedRefs }: MirrorFetch,
  question: AnswerQuestion,
): Promise<Negotiated> {
  const common = question.haves;
  const asksReady = common.length > 0 && !request.done;
  const ready = asksReady && (await suffice(serving, snapshot, question));
  if (request.version === 2) {
    const plan = planV2Answer(request, { common, ready });
    return {
      packFollows: plan.kind === 'pack',
      writeHead: (shallowInfo) => writeV2Answer(plan, request, { shallowInfo, wantedRefs }),
    };
  }
  const known = new Set(common);
  const negotiation = {
    isCommon: (oid: string) => known.has(oid),
    readyAfterHaves: ready ? query.haves.length : undefined,
  };
  return {
    packFollows: writeV0Answer(request, negotiation, NOTHING_MOVES).packFollows,
    writeHead: (shallowInfo) => writeV0Answer(request, negotiation, shallowInfo).bytes,
  };
}

async function suffice(serving: Serving, { work }: MirrorSnapshot, question: AnswerQuestion): Promise<boolean> {
  const { readiness, context } = serving;
  const key = `${question.repository} ${answerKey(question)}`;
  const present = readiness.get(key);
  if (present !== undefined) return present;
  const { wants, haves } = question;
  const ready = await work.ask({ kind: 'ready', wants, common: haves }, context.signal);
  readiness.set(key, ready);
  return ready;
}

function boundary({ context }: Serving, { snapshot, query }: MirrorFetch): Promise<ShallowInfo> {
  return snapshot.work.ask({ kind: 'boundary', query }, context.signal);
}

function taken(stored: StoredAnswer): ShallowInfo {
  stored.release();
  return stored.header;
}

function whole(bytes: Uint8Array): Response {
  return uploadPackResponse(bytes as BodyInit, 'mirror');
}
