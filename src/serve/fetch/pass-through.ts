/**
 * Answers that upstream gives. A clone-like question is asked once for everyone who asks the same while it is on its way;
 * everything else goes to upstream and back byte for byte, in the client's own protocol version.
 */
import { costOfUpstream } from '../../answers/answer-cost.ts';
import { type AnswerQuestion, tagsDigest } from '../../answers/answer-key.ts';
import type { Asking, Made, Make } from '../../answers/contract.ts';
import type { Follower } from '../../answers/shared-answer.ts';
import type { StoredAnswer } from '../../answers/stored/stored-answers.ts';
import { HotpackError } from '../../bytes/error.ts';
import type { Oid } from '../../bytes/oid.ts';
import { concatBytes } from '../../bytes/streams.ts';
import { advertisedOids, branchTips } from '../../mirror/refs/tips.ts';
import { PACK_HEADER_BYTES, parsePackHeader } from '../../pack/codec/pack-header.ts';
import { TrailerCheck } from '../../pack/codec/trailer-check.ts';
import { writeErrorPacket } from '../../protocol/error-packet.ts';
import type { FetchFilter, FetchRequest } from '../../protocol/fetch-request.ts';
import { writeV0Answer } from '../../protocol/fetch/v0-answer.ts';
import { type ShallowInfo, type WantedRef, writeV2Answer } from '../../protocol/fetch/v2-answer.ts';
import type { RefsSnapshot } from '../../protocol/refs-snapshot.ts';
import type { Failure, Refused } from '../../upstream/contract.ts';
import { failureOf } from '../../upstream/failure.ts';
import { fetchPack } from '../../upstream/fetch-pack.ts';
import type { Repository } from '../../upstream/repository.ts';
import { followedResponse } from '../body/followed-response.ts';
import { storedResponse } from '../body/stored-response.ts';
import { isCloneLike } from './plan-fetch.ts';
import type { Serving } from '../services.ts';
import { uploadPackResponse } from '../services.ts';

/** How long upstream's word that it gives something away is believed. */
const CONFIRMED_MS = 60 * 60 * 1000;

interface PassOptions {
  /** The request as it came. */
  readonly body: Uint8Array;
  readonly startsFill: boolean;
}

/** The mirror is not there, or cannot answer this: upstream does. Starts the mirror's fill where there is none. */
export async function passThrough(
  serving: Serving,
  request: FetchRequest,
  options: PassOptions & { readonly isShareable: boolean },
): Promise<Response> {
  const isOwn = request.filter.kind !== 'unsupported' && request.serverOptions.length === 0;
  const isShareable = options.isShareable && isOwn && isCloneLike(request) && request.packfileUris.length === 0;
  return isShareable ? passShared(serving, request, options) : passRaw(serving, options);
}

function passRaw(serving: Serving, { body, startsFill }: PassOptions): Promise<Response> {
  if (startsFill) startOwnFill(serving);
  return forwardRaw(serving, body);
}

/** The request as it came, the answer as it comes. */
export async function forwardRaw(serving: Serving, body: Uint8Array): Promise<Response> {
  const { context, upstream } = serving;
  const { repository, credential, signal, protocol } = context;
  const answer = await upstream.fetch(repository, body, {
    credential,
    signal,
    purpose: 'pass_through',
    gitProtocol: protocol,
  });
  if (answer.kind !== 'ok') throw failureOf(answer);
  return uploadPackResponse(answer.body, 'upstream');
}

async function passShared(serving: Serving, request: FetchRequest, options: PassOptions): Promise<Response> {
  const { context, mirror, answers } = serving;
  const { startsFill } = options;
  const refs = mirror.knownRefs();
  const { question, alsoDependsOn } = questionOf(context.repository, request, refs);
  if (alsoDependsOn === undefined) {
    const answer = await answers.find(question);
    if (answer !== undefined && isConfirmed(serving, request, answer)) {
      if (startsFill) startOwnFill(serving);
      return await storedResponse(serving, request, { answer, head: headOf(request, answer.header) });
    }
    answer?.release();
  }
  const make: Make = (signal) => makeUpstream(serving, { request, question }, signal);
  const asking: Asking = { question, make, ...(alsoDependsOn === undefined ? {} : { alsoDependsOn }) };
  if (!answers.takes(asking)) return passRaw(serving, options);
  const joined = await answers.join(asking, context.signal);
  if (joined.kind === 'stored') {
    const { answer } = joined;
    if (startsFill) startOwnFill(serving);
    return await storedResponse(serving, request, { answer, head: headOf(request, answer.header) });
  }
  if (joined.kind !== 'following') return failed(joined);

  const { follower, began } = joined;
  if (startsFill) startFill(serving, request, joined.again);
  const note = began ? 'hotpack: passed through from upstream' : 'hotpack: shared with a clone that is under way';
  const { shallowInfo, wantedRefs } = follower.header;
  const head = headOf(request, shallowInfo, wantedRefs);
  return followedResponse(serving, request, { follower, head, note, source: began ? 'upstream' : 'pack-cache' });
}

/**
 * What upstream is asked. Names are resolved by upstream, at its own time: with them, and with tags where its refs are not
 * known, an answer is shared while it is under way and never kept.
 */
function questionOf(
  repository: Repository,
  request: FetchRequest,
  refs: RefsSnapshot | undefined,
): { readonly question: AnswerQuestion; readonly alsoDependsOn: string | undefined } {
  const { wants, wantRefs, deepen, includeTag, ofsDelta } = request;
  // Others are not shared.
  const filter = request.filter as FetchFilter;
  const tags = includeTag ? tagsDigest(oidsOfTags(refs)) : undefined;
  const question = {
    repository: repository.key,
    wants,
    haves: [],
    shallows: [],
    deepen,
    filter,
    thin: false,
    ofsDelta,
    tags,
  };
  const notRefs = deepen.kind === 'revs' ? deepen.notRefs : [];
  const names = [...wantRefs, ...notRefs];
  if (names.length > 0) return { question, alsoDependsOn: JSON.stringify([wantRefs, refs?.refs ?? []]) };
  return { question, alsoDependsOn: includeTag && refs === undefined ? 'unknown tags' : undefined };
}

/** Of annotated tags, whether here or not. */
function oidsOfTags(refs: RefsSnapshot | undefined): Oid[] {
  return (refs?.refs ?? []).flatMap(({ oid, peeled }) => (peeled === undefined ? [] : [oid, peeled]));
}

/** Whether upstream shows what is wanted, or gave this very answer lately (DESIGN 2). */
function isConfirmed({ mirror, now }: Serving, { wants }: FetchRequest, answer: StoredAnswer): boolean {
  const refs = mirror.knownRefs();
  const shown = refs && advertisedOids(refs);
  const ageMs = now() - answer.madeAtMs;
  return (ageMs >= 0 && ageMs < CONFIRMED_MS) || (shown !== undefined && wants.every((oid) => shown.has(oid)));
}

async function makeUpstream(
  { context, upstream }: Serving,
  { request, question }: { readonly request: FetchRequest; readonly question: AnswerQuestion },
  signal: AbortSignal,
): Promise<Made | Refused | Failure> {
  const { repository, credential, granted } = context;
  const answer = await fetchPack(upstream, repository, forUpstream(request), {
    credential,
    capabilities: granted.facts.v2Capabilities,
    signal,
    purpose: 'pass_through',
  });
  if (answer.kind !== 'pack') return answer;
  const { header } = answer;
  const isCutByItself = request.deepen.kind === 'none' && (header.shallowInfo?.shallow.length ?? 0) > 0;
  let objects = 0;
  return {
    kind: 'pack',
    header,
    chunks: checked(answer.chunks, (count) => (objects = count)),
    onProgress: (listener) => answer.onProgress(listener),
    // An upstream that is shallow itself may not be so the next time: that is not to be kept.
    costUs: isCutByItself ? () => 0 : costOfUpstream,
    objects: () => objects,
    // Upstream says which tags it adds in the pack alone: those that it could add name the variant.
    ...(question.tags === undefined ? {} : { variant: question.tags }),
  };
}

/** Ends in an error where the bytes do not end in their checksum: then nobody is given them a second time. */
async function* checked(
  chunks: AsyncIterable<Uint8Array>,
  onObjects: (count: number) => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  const trailer = new TrailerCheck();
  let start: Uint8Array | undefined = new Uint8Array(0);
  for await (const chunk of chunks) {
    trailer.update(chunk);
    if (start !== undefined) {
      start = concatBytes([start, chunk.subarray(0, PACK_HEADER_BYTES)]);
      if (start.length >= PACK_HEADER_BYTES) {
        onObjects(parsePackHeader(start).objects);
        start = undefined;
      }
    }
    yield chunk;
  }
  if (!trailer.matches()) throw new HotpackError('malformed_pack', "upstream's pack does not end in its checksum");
}

/** Starts the first fill, with this very answer where it is a clone of every branch and tag, else by a fetch of our own. */
function startFill(serving: Serving, request: FetchRequest, followAgain: () => Follower | undefined): void {
  const { mirror, asker } = serving;
  const refs = mirror.knownRefs();
  const wanted = new Set(request.wants);
  const tips = refs === undefined ? [] : branchTips(refs);
  const isEverything =
    request.deepen.kind === 'none' &&
    request.filter.kind === 'none' &&
    tips.length > 0 &&
    tips.every((oid) => wanted.has(oid));
  const second = refs === undefined || !isEverything ? undefined : followAgain();
  if (refs === undefined || second === undefined) return startOwnFill(serving);
  const { chunks, leave, reject } = second;
  const outcome = mirror.fill({ refs, asker, stream: { wants: request.wants, chunks, leave, reject } });
  if (outcome !== 'started') leave();
}

/** Starts the first fill by a fetch of our own; nobody waits for it. */
function startOwnFill(serving: Serving): void {
  const { context, mirror, asker, logger } = serving;
  if (mirror.handsOver(asker)) return;
  const { arrivedAtMs, repository } = context;
  const work = (async () => {
    const known = mirror.knownRefs();
    if (known !== undefined) return void mirror.fill({ refs: known, asker });
    const answer = await mirror.refs('branches', { arrivedAtMs, asker });
    if (answer.kind === 'known') mirror.fill({ refs: answer.check.refs, asker });
  })().catch((error: unknown) => logger.warn('fill_failed', { repo: repository.name, error }));
  context.waitUntil?.(work);
}

/** What differs between two clients and not between their packs is left out; framing is ours to do. */
function forUpstream(request: FetchRequest): FetchRequest {
  return {
    ...request,
    version: 2,
    noProgress: false,
    sidebandAll: false,
    sideBand: 'side-band-64k',
    waitForDone: false,
    thinPack: false,
  };
}

function headOf(
  request: FetchRequest,
  shallowInfo: ShallowInfo = { shallow: [], unshallow: [] },
  wantedRefs: readonly WantedRef[] = [],
): Uint8Array {
  if (request.version === 2) {
    return writeV2Answer({ kind: 'pack', acknowledged: undefined }, request, { shallowInfo, wantedRefs });
  }
  return writeV0Answer(request, { isCommon: () => false, readyAfterHaves: undefined }, shallowInfo).bytes;
}

function failed(failure: Failure | Refused): Response {
  if (failure.kind !== 'refused') throw failureOf(failure);
  return uploadPackResponse(writeErrorPacket(failure.message) as BodyInit, 'upstream');
}
