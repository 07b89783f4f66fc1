/**
 * Answers that upstream gives. A clone-like question is asked once for everyone who asks the same while it is on its way;
 * everything else goes to upstream and back byte for byte, in the client's own protocol version.
 */
import type { Follower } from '../answers/shared-answer.ts';
import type { SharedAnswers } from '../answers/shared-answers.ts';
import { HotpackError } from '../bytes/error.ts';
import { answerKey } from '../answers/answer-key.ts';
import { branchTips } from '../mirror/refs/tips.ts';
import { TrailerCheck } from '../pack/codec/trailer-check.ts';
import { writeErrorPacket } from '../protocol/error-packet.ts';
import type { FetchRequest } from '../protocol/fetch-request.ts';
import { writeV0Answer } from '../protocol/fetch/v0-answer.ts';
import { writeV2Answer } from '../protocol/fetch/v2-answer.ts';
import type { Failure, Refused } from '../upstream/contract.ts';
import { failureOf } from '../upstream/failure.ts';
import { fetchPack } from '../upstream/fetch-pack.ts';
import { streamAnswer } from './answer-stream.ts';
import { isCloneLike } from './plan-fetch.ts';
import type { Serving } from './services.ts';
import { uploadPackResponse } from './services.ts';

/** The mirror is not there, or cannot answer this: upstream does. Starts the mirror's fill where there is none. */
export async function passThrough(
  serving: Serving,
  request: FetchRequest,
  options: { readonly body: Uint8Array; readonly isShareable: boolean; readonly startsFill: boolean },
): Promise<Response> {
  const { answers } = serving;
  const isOwn = request.filter.kind !== 'unsupported' && request.serverOptions.length === 0;
  const isShareable = options.isShareable && isOwn && isCloneLike(request) && request.packfileUris.length === 0;
  if (answers === undefined || !isShareable) {
    if (options.startsFill) startFill(serving);
    return forwardRaw(serving, options.body);
  }
  return passShared({ ...serving, answers }, request, options.startsFill);
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

async function passShared(
  serving: Serving & { readonly answers: SharedAnswers },
  request: FetchRequest,
  startsFill: boolean,
): Promise<Response> {
  const { context, mirror, asker, answers, upstream } = serving;
  const { repository, credential, granted } = context;
  const key = answerKey(repository.name, request, mirror.knownRefs());
  const begin = async (signal: AbortSignal): ReturnType<typeof fetchPack> => {
    const answer = await fetchPack(upstream, repository, forUpstream(request), {
      credential,
      capabilities: granted.facts.v2Capabilities,
      signal,
      purpose: 'pass_through',
    });
    return answer.kind === 'pack' ? { ...answer, chunks: checked(answer.chunks) } : answer;
  };
  const joined = await answers.join(key, begin, context.signal);
  if (joined.kind !== 'following') return failed(joined);

  const { follower } = joined;
  if (startsFill) {
    const refs = mirror.knownRefs();
    const wanted = new Set(request.wants);
    const tips = refs === undefined ? [] : branchTips(refs);
    const isEverything =
      request.deepen.kind === 'none' &&
      request.filter.kind === 'none' &&
      tips.length > 0 &&
      tips.every((oid) => wanted.has(oid));
    if (refs === undefined || !isEverything) startFill(serving);
    else {
      const second = joined.again();
      if (second === undefined) startFill(serving);
      else {
        const { chunks, leave, reject } = second;
        const outcome = mirror.fill({ refs, asker, stream: { wants: request.wants, chunks, leave, reject } });
        if (outcome !== 'started') leave();
      }
    }
  }
  const note = joined.began
    ? 'hotpack: passed through from upstream'
    : 'hotpack: shared with a clone that is under way';
  const head = headOf(request, follower);
  const body = streamAnswer(
    request,
    {
      head,
      chunks: follower.chunks(context.signal),
      note,
      onProgress: follower.onProgress,
      onEnd: () => follower.leave(),
    },
    context.signal,
  );
  return uploadPackResponse(body, joined.began ? 'upstream' : 'pack-cache');
}

/** Ends in an error where the bytes do not end in their checksum: then nobody is given them a second time. */
async function* checked(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  const trailer = new TrailerCheck();
  for await (const chunk of chunks) {
    trailer.update(chunk);
    yield chunk;
  }
  if (!trailer.matches()) throw new HotpackError('malformed_pack', "upstream's pack does not end in its checksum");
}

/** Starts the first fill by a fetch of our own; nobody waits for it. */
function startFill(serving: Serving): void {
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

function headOf(request: FetchRequest, follower: Follower): Uint8Array {
  const shallowInfo = follower.header.shallowInfo ?? { shallow: [], unshallow: [] };
  if (request.version === 2) {
    const sections = { shallowInfo, wantedRefs: follower.header.wantedRefs };
    return writeV2Answer({ kind: 'pack', acknowledged: undefined }, request, sections);
  }
  return writeV0Answer(request, { isCommon: () => false, readyAfterHaves: undefined }, shallowInfo).bytes;
}

function failed(failure: Failure | Refused): Response {
  if (failure.kind !== 'refused') throw failureOf(failure);
  return uploadPackResponse(writeErrorPacket(failure.message) as BodyInit, 'upstream');
}
