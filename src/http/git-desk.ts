/**
 * Every request below `/git/`, of any runtime: answered, counted when its answer has ended, and whatever goes wrong becomes an
 * answer. git clients get text or packets, never JSON.
 */
import { isHotpackError } from '../bytes/error.ts';
import { errorResponse } from './answer-response.ts';
import type { GitArrival } from './arrival.ts';
import { handleGit, type GitDeps } from './git-handler.ts';
import { createPathParser } from './git-route.ts';
import { observe, type Observation, type Observer } from './observe.ts';
import type { UpstreamConfig } from '../upstream/repository.ts';

/** Must be asked with requests of paths that begin with `/git/` alone. */
export type GitDesk = (arrival: GitArrival) => Promise<Response>;

export interface GitDeskDeps extends Omit<GitDeps, 'parsePath'> {
  readonly upstreams: ReadonlyMap<string, UpstreamConfig>;
}

export function createGitDesk(desk: GitDeskDeps, observer: Observer): GitDesk {
  const deps: GitDeps = { ...desk, parsePath: createPathParser(desk.upstreams) };
  const { now } = deps;
  const { logger } = observer;

  function failed(error: unknown, { repo, kind }: Observation, arrival: GitArrival): Response {
    const left = isHotpackError(error, 'aborted') || arrival.signal.aborted;
    const expected = isHotpackError(error) && error.code !== 'invalid_argument' && error.code !== 'missing_object';
    if (left) logger.debug('request_failed', { repo, kind, error });
    else if (expected) logger.info('request_failed', { repo, kind, error });
    else logger.error('request_failed', { repo, kind, error });
    const inGit = kind === 'fetch' || kind === 'ls-refs';
    return errorResponse(error, { inGit, nowMs: now() }, arrival.writeChallenges);
  }

  return async (arrival) => {
    const arrivedAtMs = now();
    const { method, url, headers, body, signal, waitUntil, writeChallenges, onEnded } = arrival;
    const observation: Observation = { kind: 'other', method, startedAtMs: arrivedAtMs, keepAlive: waitUntil };
    let response: Response;
    try {
      const request = { method, ...splitUrl(url), headers, body, signal, arrivedAtMs, waitUntil, writeChallenges };
      response = await handleGit(deps, request, observation);
    } catch (error) {
      response = failed(error, observation, arrival);
    }
    return observe(observer, observation, response, onEnded);
  };
}

/** Path and query as they came. (Some runtimes have resolved dot segments by now, others leave them for the path's own check.) */
function splitUrl(url: string): { readonly pathname: string; readonly query: string } {
  const path = url.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, '').replace(/#.*$/s, '');
  const question = path.indexOf('?');
  return question < 0
    ? { pathname: path, query: '' }
    : { pathname: path.slice(0, question), query: path.slice(question) };
}
