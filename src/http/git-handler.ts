/**
 * One request below `/git/`: path, then access, then the room that answers. What upstream decides by itself (push, LFS,
 * archives, unknown paths) goes to the proxy with the client's own credential and needs no check of ours.
 */
import type { Access, AccessDecision } from '../access/contract.ts';
import type { Proxy } from '../proxy/forward.ts';
import type { Serve, ServeContext } from '../serve/contract.ts';
import { credentialOfRequest } from '../upstream/credential.ts';
import { LEADS_OUTSIDE } from '../upstream/exchange/redirect.ts';
import type { RepositoryPath } from '../upstream/repository.ts';
import { NOT_TO_BE_KEPT } from '../protocol/not-to-be-kept.ts';
import { relayedResponse, textResponse, unavailableResponse, type WriteChallenges } from './answer-response.ts';
import type { GitArrival, RequestHeaders } from './arrival.ts';
import { parseGitProtocol, routeGit, type GitTarget } from './git-route.ts';
import type { Observation } from './observe.ts';
import { readRequestBody } from './request-body.ts';

export interface GitDeps {
  /** See `createPathParser`. */
  readonly parsePath: (pathname: string) => RepositoryPath;
  readonly access: Access;
  readonly serve: Serve;
  readonly proxy: Proxy;
  readonly now: () => number;
  /** Of a decoded request body. */
  readonly maxRequestBytes: number;
}

/** What has arrived, its URL taken apart. */
export interface GitRequest extends Omit<GitArrival, 'url' | 'onEnded'> {
  /** As it came, still percent-encoded. */
  readonly pathname: string;
  /** With its `?`, or empty. */
  readonly query: string;
  readonly arrivedAtMs: number;
}

const UPLOAD_PACK_REQUEST = 'application/x-git-upload-pack-request';

/** Fills in what the observation can know. Errors of the rooms come through. */
export async function handleGit(deps: GitDeps, request: GitRequest, observation: Observation): Promise<Response> {
  const route = routeGit(request.method, request, deps.parsePath);
  if (route.kind === 'refused') {
    return textResponse(route.status, route.reason, route.allow === undefined ? {} : { allow: route.allow });
  }
  const { target } = route;
  observation.repo = target.repository.name;
  if (route.kind === 'push' || route.kind === 'proxy') {
    observation.kind = route.kind;
    return await forward(deps, request, target);
  }

  observation.kind = route.kind === 'advertise' ? 'info-refs' : 'fetch';
  if (route.kind === 'upload_pack' && mediaTypeOf(request.headers) !== UPLOAD_PACK_REQUEST) {
    return textResponse(415, `the content type must be ${UPLOAD_PACK_REQUEST}`);
  }
  const protocol = parseGitProtocol(request.headers.get('git-protocol'));
  observation.protocol = protocol;
  const credential = credentialOfRequest(request.headers);
  const { arrivedAtMs, signal } = request;
  const decision = await deps.access.check(target.repository, credential, {
    gitProtocol: protocol,
    arrivedAtMs,
    signal,
  });
  if (decision.kind !== 'granted') return refused(decision, deps.now(), request.writeChallenges);
  if (decision.facts.proxyOnly) return await forward(deps, request, target);

  const context: ServeContext = {
    repository: target.repository,
    credential,
    protocol,
    granted: decision,
    signal,
    arrivedAtMs,
    waitUntil: request.waitUntil,
  };
  if (route.kind === 'advertise') return notToBeKept(await deps.serve.advertise(context));
  const body = await readRequestBody(request, deps.maxRequestBytes, signal);
  if (body.kind === 'refused') return textResponse(body.status, body.reason);
  if (asksForRefs(body.bytes)) observation.kind = 'ls-refs';
  return notToBeKept(await deps.serve.uploadPack(context, body.bytes));
}

async function forward(deps: GitDeps, request: GitRequest, target: GitTarget): Promise<Response> {
  const { method, headers, body, signal } = request;
  const answer = await deps.proxy.forward({ ...target, method, headers, body: body.stream(), signal });
  const relayed = relayedResponse(answer, request.writeChallenges);
  relayed.headers.set('x-hotpack-source', 'upstream');
  return relayed;
}

function refused(
  decision: Exclude<AccessDecision, { readonly kind: 'granted' }>,
  nowMs: number,
  writeChallenges: WriteChallenges | undefined,
): Response {
  switch (decision.kind) {
    case 'denied':
      return relayedResponse(decision.answer, writeChallenges);
    case 'redirect':
      if (decision.location === undefined) {
        return textResponse(502, LEADS_OUTSIDE);
      }
      return textResponse(decision.status, `moved to ${decision.location}`, { location: decision.location });
    case 'unavailable':
      return unavailableResponse(decision, nowMs, writeChallenges);
  }
}

const NOT_TO_BE_KEPT_FIELDS = Object.entries(NOT_TO_BE_KEPT);

/** What is made here says so by itself; upstream's own answers may not. */
function notToBeKept(response: Response): Response {
  for (const [name, value] of NOT_TO_BE_KEPT_FIELDS) {
    if (!response.headers.has(name)) response.headers.set(name, value);
  }
  return response;
}

function mediaTypeOf(headers: RequestHeaders): string {
  return (headers.get('content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

const COMMAND = new TextEncoder().encode('command=');
const LS_REFS = new TextEncoder().encode('ls-refs');

/** For the metrics alone: whether `command=ls-refs` is among the first lines. */
function asksForRefs(body: Uint8Array): boolean {
  const head = body.subarray(0, 1_024);
  for (let i = head.indexOf(0x63); i >= 0; i = head.indexOf(0x63, i + 1)) {
    if (startsWith(head, COMMAND, i)) return startsWith(head, LS_REFS, i + COMMAND.length);
  }
  return false;
}

function startsWith(bytes: Uint8Array, text: Uint8Array, offset: number): boolean {
  return text.every((byte, i) => bytes[offset + i] === byte);
}
