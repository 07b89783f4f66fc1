/**
 * The front desk as an h3 app: `/git/**`, the probes and `/metrics`. Whatever goes wrong becomes an answer here; git
 * clients get text or packets, never JSON.
 */
import { H3, type H3Event } from 'h3';
import { createDeadline } from '../bytes/abort.ts';
import { isHotpackError } from '../bytes/error.ts';
import type { Popularity } from '../popularity/contract.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { PROMETHEUS_CONTENT_TYPE } from '../telemetry/registry.ts';
import type { Warm } from '../warm/contract.ts';
import { errorResponse, textResponse } from './answer-response.ts';
import { addApi, refuseOthers } from './api/api.ts';
import type { ApiDeps } from './api/contract.ts';
import { handleGit, type GitDeps } from './git-handler.ts';
import { shieldedBody } from './shielded-body.ts';
import { observe, type Observation, type Observer } from './observe.ts';

export type Readiness = { readonly ready: true } | { readonly ready: false; readonly reason: 'storage' | 'draining' };

export interface HttpDeps extends GitDeps, ApiDeps {
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly popularity: Popularity;
  readonly warm: Warm;
  /** Whether requests can be answered. Must not reject. */
  readonly readiness: () => Promise<Readiness>;
  /** Fires when the process will not wait for its requests any longer. */
  readonly signal?: AbortSignal;
  /**
   * Writes several `www-authenticate` fields apart, where the runtime can (Node: `runtime.node.res.setHeader`). The
   * Response that follows has none then.
   */
  readonly writeChallenges?: (event: H3Event, challenges: readonly string[]) => void;
  /** Then `/metrics` is for whom `/api` is for. Default false. */
  readonly metricsNameRepositories?: boolean;
  /** See `Observer`. Default true. */
  readonly wrapsSized?: boolean;
}

export function createHttp(deps: HttpDeps): H3 {
  const { metrics, logger, now, popularity, warm } = deps;
  const observer: Observer = {
    now,
    metrics,
    logger,
    popularity,
    isWarmed: (repo) => warm.isWarmed(repo),
    wrapsSized: deps.wrapsSized ?? true,
  };
  // Paths that are no percent-encoding are refused by their own handler, in text.
  const app = new H3({ allowMalformedURL: true, silent: true });

  async function answerGit(event: H3Event): Promise<Response> {
    const arrivedAtMs = now();
    const { req } = event;
    // Only a client that takes hotpack for its `http.proxy` sends a whole URL; its credentials are for somebody else.
    if (req.runtime?.node?.req.url?.startsWith('/') === false) {
      return textResponse(400, 'hotpack is no forward proxy: clone from its own URLs, /git/<upstream>/<path>');
    }
    const waitUntil = req.waitUntil === undefined ? undefined : (promise: Promise<unknown>) => event.waitUntil(promise);
    const observation: Observation = {
      kind: 'other',
      method: req.method,
      startedAtMs: arrivedAtMs,
      keepAlive: waitUntil,
    };
    const lifetime = createDeadline({ parents: [req.signal, deps.signal] });
    const { writeChallenges } = deps;
    const write =
      writeChallenges === undefined ? undefined : (challenges: readonly string[]) => writeChallenges(event, challenges);
    let response: Response;
    try {
      response = await handleGit(
        deps,
        {
          method: req.method,
          ...splitUrl(req.url),
          headers: req.headers,
          body: shieldedBody(req),
          signal: lifetime.signal,
          arrivedAtMs,
          waitUntil,
          writeChallenges: write,
        },
        observation,
      );
    } catch (error) {
      const { repo, kind } = observation;
      const left = isHotpackError(error, 'aborted') || req.signal.aborted;
      const expected = isHotpackError(error) && error.code !== 'invalid_argument' && error.code !== 'missing_object';
      if (left) logger.debug('request_failed', { repo, kind, error });
      else if (expected) logger.info('request_failed', { repo, kind, error });
      else logger.error('request_failed', { repo, kind, error });
      const inGit = kind === 'fetch' || kind === 'ls-refs';
      response = errorResponse(error, { inGit, nowMs: now() }, write);
    }
    return observe(observer, observation, response, () => lifetime.dispose());
  }

  app.all('/git/**', answerGit);

  app.get('/_liveness', () => textResponse(200, 'ok'));
  app.get('/_readiness', async () => {
    const readiness = await deps.readiness();
    return Response.json(readiness, { status: readiness.ready ? 200 : 503, headers: { 'cache-control': 'no-cache' } });
  });
  app.get('/metrics', async (event) => {
    const refusal = deps.metricsNameRepositories === true ? refuseOthers(deps, event) : undefined;
    if (refusal !== undefined) return refusal;
    return new Response(await metrics.render(), { headers: { 'content-type': PROMETHEUS_CONTENT_TYPE } });
  });
  for (const path of ['/_liveness', '/_readiness', '/metrics']) {
    app.all(path, () => textResponse(405, 'this path takes GET, HEAD', { allow: 'GET, HEAD' }));
  }
  addApi(app, deps);
  app.all('/**', () => textResponse(404, 'there is nothing here; repositories are at /git/<upstream>/<path>'));
  return app;
}

/** Path and query as they came. (Some runtimes have resolved dot segments by now, others leave them for the path's own check.) */
function splitUrl(url: string): { readonly pathname: string; readonly query: string } {
  const path = url.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, '').replace(/#.*$/s, '');
  const question = path.indexOf('?');
  return question < 0
    ? { pathname: path, query: '' }
    : { pathname: path.slice(0, question), query: path.slice(question) };
}
