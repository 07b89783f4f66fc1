/** Answers that the mirror gives: negotiation, selection, and the pack streamed out of stored entries. */
import type { MirrorSnapshot } from '../mirror/snapshot.ts';
import type { Selection, SelectionQuery } from '../pack/selection.ts';
import { commonHaves, isReady } from '../pack/walk/negotiate.ts';
import { selectObjects } from '../pack/walk/select-objects.ts';
import { streamPack } from '../pack/writing/stream-pack.ts';
import { recallWholeSet, rememberWholeSet } from '../pack/writing/whole-set.ts';
import type { FetchRequest } from '../protocol/fetch-request.ts';
import { writeV0Answer } from '../protocol/fetch/v0-answer.ts';
import type { ShallowInfo, WantedRef } from '../protocol/fetch/v2-answer.ts';
import { planV2Answer, writeV2Answer } from '../protocol/fetch/v2-answer.ts';
import { streamAnswer } from './answer-stream.ts';
import type { Serving } from './services.ts';
import { uploadPackResponse } from './services.ts';

export interface MirrorFetch {
  readonly request: FetchRequest;
  /** Retained for this answer: released when it ends. */
  readonly snapshot: MirrorSnapshot;
  readonly query: SelectionQuery;
  readonly wantedRefs: readonly WantedRef[];
}

const NOTHING_MOVES: ShallowInfo = { shallow: [], unshallow: [] };

/** Takes over the snapshot, also where it rejects. */
export async function answerFromMirror(serving: Serving, fetch: MirrorFetch): Promise<Response> {
  const { snapshot } = fetch;
  try {
    const answer = await decide(serving, fetch);
    if (answer.kind === 'whole') {
      snapshot.release();
      return uploadPackResponse(answer.bytes as BodyInit, 'mirror');
    }
    return uploadPackResponse(streamPackAnswer(serving, fetch, answer), 'mirror');
  } catch (error) {
    snapshot.release();
    throw error;
  }
}

type Decision =
  | { readonly kind: 'whole'; readonly bytes: Uint8Array }
  | {
      readonly kind: 'pack';
      readonly head: Uint8Array;
      readonly objects: Uint32Array;
      readonly clientHas: Uint32Array;
    };

async function decide(serving: Serving, fetch: MirrorFetch): Promise<Decision> {
  const { request, snapshot, query, wantedRefs } = fetch;
  const { store } = snapshot;
  const { signal } = serving.context;
  const common = commonHaves(store, request.haves);
  const asksReady = common.length > 0 && !request.done;
  const ready = asksReady && (await isReady(store, { wants: query.wants, common }, { signal }));

  if (request.version === 2) {
    const plan = planV2Answer(request, { common, ready });
    if (plan.kind !== 'pack') {
      return { kind: 'whole', bytes: writeV2Answer(plan, request, { shallowInfo: NOTHING_MOVES, wantedRefs }) };
    }
    const selection = await select(store, query, signal);
    const head = writeV2Answer(plan, request, { shallowInfo: selection, wantedRefs });
    return { kind: 'pack', head, objects: selection.objects, clientHas: selection.clientHas };
  }

  const known = new Set(common);
  const negotiation = {
    isCommon: (oid: string) => known.has(oid),
    readyAfterHaves: ready ? request.haves.length : undefined,
  };
  // Whether a pack follows does not depend on the boundary: look before the costly part.
  const packFollows = writeV0Answer(request, negotiation, NOTHING_MOVES).packFollows;
  const needsSelection = packFollows || request.deepen.kind !== 'none';
  if (!needsSelection) return { kind: 'whole', bytes: writeV0Answer(request, negotiation, NOTHING_MOVES).bytes };
  const selection = await select(store, query, signal);
  const { bytes } = writeV0Answer(request, negotiation, selection);
  if (!packFollows) return { kind: 'whole', bytes };
  return { kind: 'pack', head: bytes, objects: selection.objects, clientHas: selection.clientHas };
}

/** Walks nothing where it is known that everything is asked for. */
async function select(store: MirrorSnapshot['store'], query: SelectionQuery, signal: AbortSignal): Promise<Selection> {
  const whole = recallWholeSet(store, query);
  if (whole !== undefined) return whole;
  const selection = await selectObjects(store, query, { signal });
  rememberWholeSet(store, query, selection);
  return selection;
}

function streamPackAnswer(
  serving: Serving,
  fetch: MirrorFetch,
  answer: Extract<Decision, { readonly kind: 'pack' }>,
): ReadableStream<Uint8Array> {
  const { context, logger, mirror } = serving;
  const { request, snapshot } = fetch;
  const { objects, clientHas } = answer;
  const pack = streamPack(
    snapshot.store,
    { objects, clientHas, ofsDelta: request.ofsDelta, thin: request.thinPack },
    { signal: context.signal, openScratch: () => mirror.openScratch() },
  );
  const stale = context.granted.stale ? '; upstream gives no answer, so this may not be its latest' : '';
  return streamAnswer(
    request,
    {
      head: answer.head,
      chunks: pack,
      note: `hotpack: ${objects.length} objects from the mirror${stale}`,
      onEnd: (error) => {
        snapshot.release();
        if (error === undefined || context.signal.aborted) return;
        logger.error('request_failed', { repo: context.repository.name, error });
      },
    },
    context.signal,
  );
}
