/** One fetch, whatever its version: planned, then carried out by the nearest that can answer it. */
import { HotpackError } from '../../bytes/error.ts';
import type { Oid } from '../../bytes/oid.ts';
import { advertisedOids } from '../../mirror/refs/tips.ts';
import type { MirrorSnapshot } from '../../mirror/copy/snapshot.ts';
import { writeErrorPacket } from '../../protocol/error-packet.ts';
import type { FetchRequest } from '../../protocol/fetch-request.ts';
import type { RefsSnapshot } from '../../protocol/refs-snapshot.ts';
import { answerFromMirror } from './from-mirror.ts';
import { forwardRaw, passThrough } from './pass-through.ts';
import { dependsOnRefs, type FetchPlan, type FetchState, planFetch, wantsWholeHistory } from './plan-fetch.ts';
import { refsShown } from '../refs/refs-shown.ts';
import type { Serving } from '../services.ts';
import { uploadPackResponse } from '../services.ts';
import { annotatedTags, NO_TAGS } from './annotated-tags.ts';

/** `body` is the request as it came, for what only upstream can answer. */
export async function answerFetch(serving: Serving, request: FetchRequest, body: Uint8Array): Promise<Response> {
  const { context, mirror } = serving;
  const { signal } = context;
  const snapshot = await mirror.snapshot(signal);
  let isTaken = false;
  try {
    const refs = await refsFor(serving, request, snapshot);
    const plan = planFetch(request, stateOf(snapshot, refs));
    if (plan.kind === 'unknown-ref') {
      throw new HotpackError('unknown_ref', `unknown ref ${plan.name}`, { detail: { name: plan.name } });
    }
    const isShown = (oids: readonly Oid[]): boolean => isOurs(request, oids, refs);
    if (plan.kind === 'obtain') {
      if (context.granted.stale) throw noAnswer();
      if (!isShown(plan.missing)) return await forwardRaw(serving, body);
      return await answerWithMissing(serving, request, { body, missing: plan.missing, isNeeded: true });
    }
    if (plan.kind === 'pass-through' || snapshot === undefined) {
      if (context.granted.stale) throw noAnswer();
      const isShareable = isShown(request.wants);
      const startsFill = snapshot === undefined && !mirror.isTooLarge;
      return await passThrough(serving, request, { body, isShareable, startsFill });
    }
    // In an outage the refs that were shown are those of what is here.
    if (plan.lackingTags.length > 0 && !context.granted.stale) {
      return await answerWithMissing(serving, request, { body, missing: plan.lackingTags, isNeeded: false });
    }
    isTaken = true;
    return await answerSelected(serving, request, { snapshot, plan, refs, body });
  } finally {
    if (!isTaken) snapshot?.release();
  }
}

function stateOf(snapshot: MirrorSnapshot | undefined, refs: RefsSnapshot | undefined): FetchState {
  const isHere = snapshot && ((oid: Oid) => snapshot.store.find(oid) >= 0);
  return { isHere, refs, tags: () => (snapshot && refs ? annotatedTags(refs, snapshot.store) : NO_TAGS) };
}

/** v0 and v1 clients were shown with their refs whether upstream is shallow. */
async function isCutUpstream({ context, mirror, asker }: Serving): Promise<boolean> {
  const { granted, arrivedAtMs, signal, protocol } = context;
  return protocol === 2 && !granted.stale && (await mirror.isShallowUpstream({ arrivedAtMs, asker, signal }));
}

/**
 * Gets what is missing and answers from the mirror; where that takes too long, upstream answers this one. What is not needed and
 * cannot be had is done without.
 */
async function answerWithMissing(
  serving: Serving,
  request: FetchRequest,
  options: { readonly body: Uint8Array; readonly missing: readonly Oid[]; readonly isNeeded: boolean },
): Promise<Response> {
  const { context, mirror, asker } = serving;
  const { body, missing, isNeeded } = options;
  const obtained = await mirror.obtain(missing, asker, context.signal);
  if (obtained.kind === 'refused' && isNeeded) return refusal(obtained.message);
  const snapshot = obtained.kind === 'later' ? undefined : await mirror.snapshot(context.signal);
  if (snapshot === undefined) return forwardRaw(serving, body);
  let isTaken = false;
  try {
    const refs = await refsFor(serving, request, snapshot);
    const plan = planFetch(request, stateOf(snapshot, refs));
    if (plan.kind !== 'select') return await forwardRaw(serving, body);
    if (isNeeded && plan.lackingTags.length > 0) {
      return await answerWithMissing(serving, request, { body, missing: plan.lackingTags, isNeeded: false });
    }
    isTaken = true;
    return await answerSelected(serving, request, { snapshot, plan, refs, body });
  } finally {
    if (!isTaken) snapshot.release();
  }
}

interface Selected {
  /** Taken over, also where it rejects. */
  readonly snapshot: MirrorSnapshot;
  readonly plan: Extract<FetchPlan, { readonly kind: 'select' }>;
  readonly refs: RefsSnapshot | undefined;
  readonly body: Uint8Array;
}

/** Everything is here: answers, where it may be given away. */
async function answerSelected(serving: Serving, request: FetchRequest, selected: Selected): Promise<Response> {
  const { snapshot, plan, body } = selected;
  let isTaken = false;
  try {
    const refused = await settle(serving, request, selected);
    if (refused !== undefined) return refused;
    if (wantsWholeHistory(request) && (await isCutUpstream(serving))) return await forwardRaw(serving, body);
    isTaken = true;
    return await answerFromMirror(serving, { request, snapshot, query: plan.query, wantedRefs: plan.wantedRefs });
  } finally {
    if (!isTaken) snapshot.release();
  }
}

/** What is answered instead where the wants, all of them here, may not be given away; undefined where they may. */
async function settle(
  serving: Serving,
  request: FetchRequest,
  { snapshot, plan, refs, body }: Selected,
): Promise<Response | undefined> {
  const { context, mirror, asker } = serving;
  const { wants } = plan.query;
  const unconfirmed = await mirror.unconfirmedWants(snapshot, wants, context.signal);
  if (unconfirmed.length === 0) return undefined;
  if (context.granted.stale) throw noAnswer();
  if (!isOurs(request, unconfirmed, refs)) return forwardRaw(serving, body);
  const confirmed = await mirror.confirmWants(unconfirmed, asker, context.signal);
  return confirmed.kind === 'refused' ? refusal(confirmed.message) : undefined;
}

/** Fresh where the answer depends on them; else as last known, or as held: objects are right by their names. */
async function refsFor(
  serving: Serving,
  request: FetchRequest,
  snapshot: MirrorSnapshot | undefined,
): Promise<RefsSnapshot | undefined> {
  if (dependsOnRefs(request)) return (await refsShown(serving, 'all')).refs;
  return serving.mirror.knownRefs() ?? snapshot?.held;
}

/**
 * Whether wants of an older protocol version may be asked for over v2, which gives any object by its hash: v0 and v1 servers give
 * what they show, and more only where they say so. Such wants are judged by upstream in the client's own version.
 */
function isOurs(request: FetchRequest, wants: readonly Oid[], refs: RefsSnapshot | undefined): boolean {
  if (request.version === 2) return true;
  const shown = refs && advertisedOids(refs);
  return shown !== undefined && wants.every((oid) => shown.has(oid));
}

function refusal(message: string): Response {
  return uploadPackResponse(writeErrorPacket(message) as BodyInit, 'upstream');
}

function noAnswer(): HotpackError {
  return new HotpackError('upstream_unavailable', 'upstream gives no answer, and this is not here');
}
