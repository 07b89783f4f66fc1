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
import { dependsOnRefs, type FetchState, planFetch, wantsWholeHistory } from './plan-fetch.ts';
import { refsShown } from '../refs/refs-shown.ts';
import type { Serving } from '../services.ts';
import { uploadPackResponse } from '../services.ts';
import { tagsHere } from './tags-here.ts';

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
      return await answerWithMissing(serving, request, { body, missing: plan.missing });
    }
    if (plan.kind === 'pass-through' || snapshot === undefined) {
      if (context.granted.stale) throw noAnswer();
      const isShareable = isShown(request.wants);
      const startsFill = snapshot === undefined && !mirror.isTooLarge;
      return await passThrough(serving, request, { body, isShareable, startsFill });
    }
    const refused = await settle(serving, { request, snapshot, wants: plan.query.wants, refs, body });
    if (refused !== undefined) return refused;
    if (wantsWholeHistory(request) && (await isCutUpstream(serving))) return await forwardRaw(serving, body);
    isTaken = true;
    return await answerFromMirror(serving, { request, snapshot, query: plan.query, wantedRefs: plan.wantedRefs });
  } finally {
    if (!isTaken) snapshot?.release();
  }
}

function stateOf(snapshot: MirrorSnapshot | undefined, refs: RefsSnapshot | undefined): FetchState {
  const isHere = snapshot && ((oid: Oid) => snapshot.store.find(oid) >= 0);
  return { isHere, refs, tagsHere: () => (snapshot && refs ? tagsHere(refs, snapshot.store) : []) };
}

/** v0 and v1 clients were shown with their refs whether upstream is shallow. */
async function isCutUpstream({ context, mirror, asker }: Serving): Promise<boolean> {
  const { granted, arrivedAtMs, signal, protocol } = context;
  return protocol === 2 && !granted.stale && (await mirror.isShallowUpstream({ arrivedAtMs, asker, signal }));
}

/** Gets what is missing and answers from the mirror; where that takes too long, upstream answers this one. */
async function answerWithMissing(
  serving: Serving,
  request: FetchRequest,
  options: { readonly body: Uint8Array; readonly missing: readonly string[] },
): Promise<Response> {
  const { context, mirror, asker } = serving;
  const { body, missing } = options;
  const obtained = await mirror.obtain(missing, asker, context.signal);
  if (obtained.kind === 'refused') return refusal(obtained.message);
  const snapshot = obtained.kind === 'here' ? await mirror.snapshot(context.signal) : undefined;
  if (snapshot === undefined) return forwardRaw(serving, body);
  let isTaken = false;
  try {
    const refs = await refsFor(serving, request, snapshot);
    const plan = planFetch(request, stateOf(snapshot, refs));
    if (plan.kind !== 'select') return await forwardRaw(serving, body);
    // Some wants may have been here before, and upstream shows them no more.
    const refused = await settle(serving, { request, snapshot, wants: plan.query.wants, refs, body });
    if (refused !== undefined) return refused;
    isTaken = true;
    return await answerFromMirror(serving, { request, snapshot, query: plan.query, wantedRefs: plan.wantedRefs });
  } finally {
    if (!isTaken) snapshot.release();
  }
}

/** What is answered instead where `wants`, all of them here, may not be given away; undefined where they may. */
async function settle(
  serving: Serving,
  question: {
    readonly request: FetchRequest;
    readonly snapshot: MirrorSnapshot;
    readonly wants: readonly Oid[];
    readonly refs: RefsSnapshot | undefined;
    readonly body: Uint8Array;
  },
): Promise<Response | undefined> {
  const { context, mirror, asker } = serving;
  const { request, snapshot, wants, refs, body } = question;
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
