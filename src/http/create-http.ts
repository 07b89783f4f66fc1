/**
 * The front desk as an h3 app: `/git/**`, the probes and `/metrics`. Whatever goes wrong becomes an answer here; git
 * clients get text or packets, never JSON.
 */
import { H3, type H3Event } from 'h3';
import { createDeadline } from '../bytes/abort.ts';
import type { Popularity } from '../popularity/contract.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { PROMETHEUS_CONTENT_TYPE } from '../telemetry/registry.ts';
import type { Warm } from '../warm/contract.ts';
import { textResponse } from './answer-response.ts';
import { addApi, refuseOthers } from './api/api.ts';
import type { ApiDeps } from './api/contract.ts';
import { arrivingBody } from './arriving-body.ts';
import { createGitDesk, type GitDesk, type GitDeskDeps } from './git-desk.ts';
import type { Observer } from './observe.ts';

export type Readiness = { readonly ready: true } | { readonly ready: false; readonly reason: 'storage' | 'draining' };

export interface Http {
  readonly h3: H3;
  /** What its routes below `/git/` do, for a runtime that need not go through them. */
  readonly git: GitDesk;
}

export interface HttpDeps extends GitDeskDeps, ApiDeps {
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly popularity: Popularity;
  readonly warm: Warm;
  /** Whether requests can be answered. Must not reject. */
  readonly readiness: () => Promise<Readiness>;
  /** Fires when the process will not wait for its requests any longer. */
  readonly signal?: AbortSignal;
  /** Then `/metrics` is for whom `/api` is for. Default false. */
  readonly metricsNameRepositories?: boolean;
  /** See `Observer`. Default true. */
  readonly wrapsSized?: boolean;
}

export function createHttp(deps: HttpDeps): Http {
  const { metrics, logger, now, popularity, warm } = deps;
  const observer: Observer = {
    now,
    metrics,
    logger,
    popularity,
    isWarmed: (repo) => warm.isWarmed(repo),
    wrapsSized: deps.wrapsSized ?? true,
  };
  const git = createGitDesk(deps, observer);
  // Paths that are no percent-encoding are refused by their own handler, in text.
  const app = new H3({ allowMalformedURL: true, silent: true });

  async function answerEvent(event: H3Event): Promise<Response> {
    const { req } = event;
    // Only a client that takes hotpack for its `http.proxy` sends a whole URL; its credentials are for somebody else.
    if (req.runtime?.node?.req.url?.startsWith('/') === false) {
      return textResponse(400, 'hotpack is no forward proxy: clone from its own URLs, /git/<upstream>/<path>');
    }
    const lifetime = createDeadline({ parents: [req.signal, deps.signal] });
    return git({
      method: req.method,
      url: req.url,
      headers: req.headers,
      body: arrivingBody(req),
      signal: lifetime.signal,
      waitUntil: req.waitUntil === undefined ? undefined : (promise) => event.waitUntil(promise),
      onEnded: () => lifetime.dispose(),
    });
  }

  app.all('/git/**', answerEvent);

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
  return { h3: app, git };
}
