/** What hotpack says by itself, and what it relays, as Responses. */
import { isHotpackError } from '../bytes/error.ts';
import { writeErrorPacket } from '../protocol/error-packet.ts';
import { NOT_TO_BE_KEPT } from '../protocol/not-to-be-kept.ts';
import type { UpstreamAnswer } from '../upstream/contract.ts';
import { answerOfError } from '../upstream/failure.ts';
import { placeOfError } from './error-status.ts';

/**
 * Several `www-authenticate` fields in one answer: `Headers` joins them, git's credential helpers want them apart.
 * A runtime that can write them so provides this, and they are left out of the Response.
 */
export type WriteChallenges = (challenges: readonly string[]) => void;

/** A line of text, which git shows to its user. */
export function textResponse(status: number, text: string, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(`${text}\n`, {
    status,
    headers: { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-cache', ...headers },
  });
}

/** Upstream's answer as it is. */
export function relayedResponse(
  answer: Omit<UpstreamAnswer, 'body'> & { readonly body: ReadableStream<Uint8Array> | Uint8Array | null },
  writeChallenges: WriteChallenges | undefined,
): Response {
  const headers = new Headers();
  const challenges: string[] = [];
  for (const [name, value] of answer.headers) {
    if (name === 'www-authenticate' && writeChallenges !== undefined) challenges.push(value);
    else headers.append(name, value);
  }
  if (challenges.length > 0) writeChallenges?.(challenges);
  const bodiless = answer.status === 204 || answer.status === 205 || answer.status === 304;
  return new Response(bodiless ? null : (answer.body as BodyInit | null), { status: answer.status, headers });
}

/** 503 with the time to come back, and with upstream's words where it had some for people to read. */
export function unavailableResponse(
  options: { readonly message: string; readonly retryAtMs: number; readonly answer?: UpstreamAnswer | undefined },
  nowMs: number,
  writeChallenges: WriteChallenges | undefined,
): Response {
  const { answer, message, retryAtMs } = options;
  // 429, and 401 of a host that throttles the anonymous: upstream's own status tells a client what to do.
  if (answer !== undefined && answer.status < 500 && answer.status !== 408)
    return relayedResponse(answer, writeChallenges);
  const headers = { 'retry-after': String(Math.max(1, Math.ceil((retryAtMs - nowMs) / 1000))) };
  const type = answer?.headers.find(([name]) => name === 'content-type')?.[1];
  if (answer !== undefined && type !== undefined && answer.body.length > 0 && /^\s*text\//i.test(type)) {
    return new Response(answer.body as BodyInit, { status: 503, headers: { ...headers, 'content-type': type } });
  }
  return textResponse(503, message, headers);
}

/** `inGit`: the error came up within a `git-upload-pack` request, whose client reads ERR packets. */
export function errorResponse(
  error: unknown,
  context: { readonly inGit: boolean; readonly nowMs: number },
  writeChallenges: WriteChallenges | undefined,
): Response {
  if (!isHotpackError(error)) return textResponse(500, 'hotpack failed; its log says why');
  const answer = answerOfError(error);
  if (error.code === 'upstream_denied' && answer !== undefined) return relayedResponse(answer, writeChallenges);
  const place = placeOfError(error.code);
  const message = place.speaks ? error.message : 'hotpack could not answer; its log says why';
  if (context.inGit && place.inBand) {
    return new Response(writeErrorPacket(message) as BodyInit, {
      status: 200,
      headers: { 'content-type': 'application/x-git-upload-pack-result', ...NOT_TO_BE_KEPT },
    });
  }
  if (place.status !== 503) return textResponse(place.status, message);
  const { retryAtMs } = error.detail;
  const retry = typeof retryAtMs === 'number' ? retryAtMs : context.nowMs + 5_000;
  return unavailableResponse({ message, retryAtMs: retry, answer }, context.nowMs, writeChallenges);
}
