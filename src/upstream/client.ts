/**
 * The only HTTP client toward upstreams.
 *
 * Whose credential goes along is decided here and nowhere else. What decides who may read (`probe`) carries the
 * client's own, or none. Data of a client that was granted (`lsRefs`, `fetch`) is asked for with hotpack's token where
 * there is one, since hosts throttle anonymous requests; a token that a host refuses for a repository (an organisation
 * that it may not see) is left out there for five minutes and the client's own goes instead. `forward` carries what the
 * client sent and nothing else. No redirect is followed, so nothing goes to another origin.
 */
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics, UpstreamOperation, UpstreamOutcome } from '../telemetry/metrics.ts';
import { HotpackError } from '../bytes/error.ts';
import { writeLsRefs } from '../protocol/ls-refs/request.ts';
import { BoundedMap } from './bounded-map.ts';
import type { Asking, Failure, GitProtocol, ProbeOk, Refused, RefsOk, Upstream } from './contract.ts';
import { credentialFields, type Credential } from './credential.ts';
import { judgeAnswer, type Judgement } from './exchange/judgement.ts';
import { readProbe } from './probe.ts';
import { readRefs } from './refs.ts';
import type { Repository, UpstreamConfig } from './repository.ts';
import { createPatience } from './exchange/patience.ts';
import { createThrottle, type Asker } from './exchange/throttle.ts';
import { createTransport, type FetchFunction, type TransportRequest } from './exchange/transport.ts';

export interface UpstreamDeps {
  readonly fetch: FetchFunction;
  /** Every configured upstream: redirects within them stay with hotpack. */
  readonly upstreams: ReadonlyMap<string, UpstreamConfig>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly metrics: Pick<Metrics, 'upstreamRequests' | 'upstreamBytes'>;
  readonly logger: Logger;
}

export interface UpstreamOptions {
  /** `info/refs` and `ls-refs`, body included. Default 60,000. */
  readonly lsRefsTimeoutMs?: number;
  /** A fetch for a mirror that is here. Default 300,000. */
  readonly fetchTimeoutMs?: number;
  /** A first fill, and what is passed through on a client's behalf. Default 3,600,000. */
  readonly cloneTimeoutMs?: number;
  /** Default `git/hotpack`. */
  readonly userAgent?: string;
}

const TOKEN_REFUSED_MS = 300_000;
const TOKEN_REFUSED_REPOSITORIES = 10_000;

const DATA_HEADERS = [
  ['content-type', 'application/x-git-upload-pack-request'],
  ['accept', 'application/x-git-upload-pack-result'],
] as const;

export function createUpstream(deps: UpstreamDeps, options: UpstreamOptions = {}): Upstream {
  const { now, metrics, logger } = deps;
  const {
    lsRefsTimeoutMs = 60_000,
    fetchTimeoutMs = 300_000,
    cloneTimeoutMs = 3_600_000,
    userAgent = 'git/hotpack',
  } = options;
  const throttle = createThrottle(now);
  const patience = createPatience(now, lsRefsTimeoutMs);
  /** Repositories that hotpack's token was refused for, and until when that is believed. At most 10,000. */
  const tokenRefused = new BoundedMap<string, number>(TOKEN_REFUSED_REPOSITORIES);
  const transport = createTransport({
    fetch: deps.fetch,
    userAgent,
    onBytes: (bytes) => metrics.upstreamBytes.add({}, bytes),
  });

  /** Sends, judges, counts. What comes back with `kind: 'ok'` has a body that is still to be read. */
  async function ask(
    repository: Repository,
    operation: UpstreamOperation,
    asker: Asker,
    request: Omit<TransportRequest, 'operation'>,
  ): Promise<Judgement> {
    const count = (outcome: UpstreamOutcome): void => metrics.upstreamRequests.add({ operation, outcome });
    const sent = await transport.send({ ...request, operation }).catch((error: unknown) => {
      count('failed');
      throw error;
    });
    const isData = operation === 'ls-refs' || operation === 'fetch';
    const judgement = await judgeAnswer(sent, {
      requestUrl: request.url,
      isData,
      upstreams: deps.upstreams,
      retryAtMs: (retryAfter) => throttle.refused(repository.upstream, asker, retryAfter),
    });
    count(outcomeOf(judgement));
    if (judgement.kind === 'ok') throttle.answered(repository.upstream, asker);
    else if (judgement.kind === 'throttled' || judgement.kind === 'unavailable') {
      const fields = { repo: repository.name, operation, asker, retryAtMs: judgement.retryAtMs };
      if (judgement.kind === 'throttled')
        logger.warn('upstream_throttled', { ...fields, status: judgement.answer.status });
      else logger.warn('upstream_failed', { ...fields, reason: judgement.reason, message: judgement.message });
    }
    return judgement;
  }

  /** A question that upstream answers from what it has in mind: it is given as long as its last silence allows. */
  async function askBriefly<T extends ProbeOk | RefsOk | Refused>(
    { upstream }: Repository,
    question: (timeoutMs: number) => Promise<T | Failure>,
  ): Promise<T | Failure> {
    const timeoutMs = patience.timeoutMs(upstream);
    const answer = await question(timeoutMs);
    if (answer.kind !== 'unavailable') patience.answered(upstream);
    else if (answer.reason === 'timeout') patience.timedOut(upstream, timeoutMs);
    return answer;
  }

  async function probeWith(
    repository: Repository,
    asker: Asker,
    asking: Asking & { readonly gitProtocol: GitProtocol },
  ): Promise<ProbeOk | Failure> {
    const headers = new Headers([['accept', '*/*'], ['pragma', 'no-cache'], ...credentialFields(asking.credential)] as [
      string,
      string,
    ][]);
    if (asking.gitProtocol > 0) headers.set('git-protocol', `version=${asking.gitProtocol}`);
    return await askBriefly(repository, async (timeoutMs): Promise<ProbeOk | Failure> => {
      const judgement = await ask(repository, 'info-refs', asker, {
        method: 'GET',
        url: `${repository.url}/info/refs?service=git-upload-pack`,
        headers,
        timeoutMs,
        signal: asking.signal,
      });
      return judgement.kind === 'ok' ? await readProbe(judgement, now) : judgement;
    });
  }

  /** Whose credential to try, in order. */
  function askersOf(
    repository: Repository,
    client: Credential | undefined,
  ): ReadonlyArray<readonly [Asker, Credential | undefined]> {
    const own = [client === undefined ? 'anonymous' : 'client', client] as const;
    const { token } = repository.upstream;
    if (token === undefined || (tokenRefused.get(repository.name) ?? 0) > now()) return [own];
    return [['token', token], own];
  }

  async function askData(
    repository: Repository,
    operation: 'ls-refs' | 'fetch',
    body: Uint8Array,
    asking: Asking & { readonly timeoutMs: number; readonly gitProtocol?: GitProtocol },
  ): Promise<Judgement> {
    const askers = askersOf(repository, asking.credential);
    let judgement: Judgement | undefined;
    for (const [i, [asker, credential]] of askers.entries()) {
      judgement = await ask(repository, operation, asker, {
        method: 'POST',
        url: `${repository.url}/git-upload-pack`,
        headers: dataHeaders(asking.gitProtocol ?? 2, credential),
        body,
        timeoutMs: asking.timeoutMs,
        signal: asking.signal,
      });
      const refused =
        judgement.kind === 'denied' || (judgement.kind === 'throttled' && judgement.answer.status === 401);
      if (!refused || i === askers.length - 1) break;
      tokenRefused.set(repository.name, now() + TOKEN_REFUSED_MS);
    }
    return judgement as Judgement;
  }

  return {
    probe(repository, asking) {
      return probeWith(repository, asking.credential === undefined ? 'anonymous' : 'client', asking);
    },

    probeAsHotpack(repository, signal) {
      const credential = repository.upstream.token;
      return probeWith(repository, credential === undefined ? 'anonymous' : 'token', {
        credential,
        signal,
        gitProtocol: 2,
      });
    },

    async lsRefs(repository, query, asking) {
      const { capabilities, prefixes, serverOptions = [] } = query;
      const arguments_ = { peel: true, symrefs: true, unborn: true, prefixes };
      const body = writeLsRefs(arguments_, { capabilities, agent: userAgent, serverOptions });
      return await askBriefly(repository, async (timeoutMs): Promise<RefsOk | Refused | Failure> => {
        const judgement = await askData(repository, 'ls-refs', body, { ...asking, timeoutMs });
        return judgement.kind === 'ok' ? await readRefs(judgement, now) : judgement;
      });
    },

    async fetch(repository, body, asking) {
      const timeoutMs = asking.purpose === 'update' ? fetchTimeoutMs : cloneTimeoutMs;
      const judgement = await askData(repository, 'fetch', body, { ...asking, timeoutMs });
      if (judgement.kind !== 'ok') return judgement;
      return { kind: 'ok', body: judgement.body };
    },

    async forward(repository, request) {
      const sent = await transport.send({
        operation: 'proxy',
        method: request.method,
        url: `${repository.url}${request.rest}${request.query}`,
        headers: request.headers,
        body: request.body,
        timeoutMs: cloneTimeoutMs,
        signal: request.signal,
      });
      const outcome =
        sent.kind === 'failed'
          ? sent.reason === 'timeout'
            ? 'timeout'
            : 'failed'
          : outcomeOfStatus(sent.response.status);
      metrics.upstreamRequests.add({ operation: 'proxy', outcome });
      if (sent.kind === 'failed') {
        throw new HotpackError(sent.reason === 'timeout' ? 'timeout' : 'upstream_unavailable', sent.message, {
          detail: { repo: repository.name, reason: sent.reason },
        });
      }
      return { status: sent.response.status, headers: sent.response.headers, body: sent.body };
    },

    throttledUntilMs: (upstream, asker) => throttle.untilMs(upstream, asker),
  };
}

function dataHeaders(gitProtocol: GitProtocol, credential: Credential | undefined): Headers {
  const headers = new Headers([...DATA_HEADERS, ...credentialFields(credential)] as [string, string][]);
  if (gitProtocol > 0) headers.set('git-protocol', `version=${gitProtocol}`);
  return headers;
}

function outcomeOf(judgement: Judgement): UpstreamOutcome {
  switch (judgement.kind) {
    case 'ok':
    case 'redirect':
      return 'ok';
    case 'denied':
    case 'throttled':
      return judgement.kind;
    case 'unavailable':
      return judgement.reason === 'timeout' ? 'timeout' : 'failed';
  }
}

function outcomeOfStatus(status: number): UpstreamOutcome {
  if (status === 429) return 'throttled';
  if (status >= 500) return 'failed';
  return status >= 400 ? 'denied' : 'ok';
}
