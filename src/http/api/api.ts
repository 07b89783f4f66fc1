/** `/api/**`: JSON for those who run hotpack. */
import type { H3, H3Event } from 'h3';
import { createDeadline } from '../../bytes/abort.ts';
import { isHotpackError } from '../../bytes/error.ts';
import { decideApiAccess } from './api-access.ts';
import type { ApiAnswer, ApiDeps } from './contract.ts';
import { answerPrewarm } from './prewarm.ts';
import { answerRepos } from './repos.ts';
import { answerTop } from './top.ts';
import { answerWarm, parseWarmPath } from './warm.ts';

type Route = (deps: ApiDeps, query: URLSearchParams, signal: AbortSignal) => Promise<ApiAnswer>;

const ROUTES: Readonly<Record<string, Route>> = {
  '/api/v1/prewarm': answerPrewarm,
  '/api/v1/repos': answerRepos,
  '/api/v1/repos/top': answerTop,
};
/** An answer is made of a few reads; whoever asks has something else to do. */
const ANSWER_MS = 30_000;

export function addApi(app: H3, deps: ApiDeps): void {
  const handle = (event: H3Event): Promise<Response> => answerApi(deps, event);
  app.all('/api', handle);
  app.all('/api/**', handle);
}

/** The answer to those whom `/api` does not answer. */
export function refuseOthers(deps: Pick<ApiDeps, 'adminToken' | 'peerOf'>, event: H3Event): Response | undefined {
  const access = decideApiAccess({ peer: deps.peerOf(event), headers: event.req.headers }, deps.adminToken);
  if (access.kind === 'granted') return undefined;
  return errorResponse(access, access.status === 401 ? { 'www-authenticate': 'Bearer' } : {});
}

async function answerApi(deps: ApiDeps, event: H3Event): Promise<Response> {
  const { req } = event;
  await req.body?.cancel();
  const refusal = refuseOthers(deps, event);
  if (refusal !== undefined) return refusal;
  const url = new URL(req.url);
  const warming = parseWarmPath(url.pathname, deps.upstreams);
  if (warming.kind === 'error') return errorResponse(warming);
  if (warming.kind === 'repository') {
    if (req.method !== 'POST') return errorResponse(wrongMethod('POST'), { allow: 'POST' });
    if (comesFromPage(req.headers)) return errorResponse(FROM_PAGE);
    return answerWarm(deps.warm, warming.repository, {
      waits: url.searchParams.get('wait') === '1',
      keepAlive: (work) => deps.keepAlive?.(event, work),
    });
  }
  const route = Object.hasOwn(ROUTES, url.pathname) ? ROUTES[url.pathname] : undefined;
  if (route === undefined) return errorResponse({ status: 404, code: 'not_found', message: 'there is nothing here' });
  if (req.method !== 'GET' && req.method !== 'HEAD') {
    return errorResponse(wrongMethod('GET, HEAD'), { allow: 'GET, HEAD' });
  }
  const deadline = createDeadline({
    parents: [req.signal, deps.signal],
    timeoutMs: ANSWER_MS,
    operation: 'the answer',
  });
  try {
    const answer = await route(deps, url.searchParams, deadline.signal);
    if (answer.kind === 'error') return errorResponse(answer);
    return Response.json(answer.value, { headers: { 'cache-control': 'no-store' } });
  } catch (error) {
    if (!isHotpackError(error, 'aborted')) deps.logger.warn('api_failed', { path: url.pathname, error });
    const isKnown = isHotpackError(error) && ['storage_unavailable', 'timeout', 'aborted'].includes(error.code);
    return errorResponse(
      isKnown
        ? { status: 503, code: error.code, message: 'the key-value store gives no answer' }
        : { status: 500, code: 'internal', message: 'hotpack failed; its log says why' },
    );
  } finally {
    deadline.dispose();
  }
}

function wrongMethod(allowed: string): { readonly status: number; readonly code: string; readonly message: string } {
  return { status: 405, code: 'method_not_allowed', message: `this path takes ${allowed}` };
}

const FROM_PAGE = { status: 403, code: 'forbidden', message: 'pages of other origins may start nothing here' };

/** A browser says where a request that changes something comes from; nobody else does. */
function comesFromPage(headers: Headers): boolean {
  const origin = headers.get('origin');
  return origin !== null && origin.replace(/^https?:\/\//, '') !== headers.get('host');
}

function errorResponse(
  error: { readonly status: number; readonly code: string; readonly message: string },
  headers: Readonly<Record<string, string>> = {},
): Response {
  const { status, code, message } = error;
  return Response.json({ error: { code, message } }, { status, headers: { 'cache-control': 'no-store', ...headers } });
}
