/** What an HTTP answer means, before anyone looks into the body of a good one. */
import { readAnswer } from './answer.ts';
import type { Failure } from '../contract.ts';
import { isRedirect, locationWithin } from './redirect.ts';
import type { UpstreamConfig } from '../repository.ts';
import type { Sent } from './transport.ts';

export interface OkAnswer {
  readonly kind: 'ok';
  readonly response: Response;
  /** MUST be read to its end or cancelled. */
  readonly body: ReadableStream<Uint8Array>;
}

export type Judgement = OkAnswer | Failure;

export interface JudgementContext {
  readonly requestUrl: string;
  /** True for requests made after the repository was found readable: a 401 there means "come later", not "no". */
  readonly isData: boolean;
  readonly upstreams: ReadonlyMap<string, UpstreamConfig>;
  /** Notes a refusal with its `Retry-After` and says when to come back. */
  readonly retryAtMs: (retryAfter: string | null) => number;
}

export async function judgeAnswer(sent: Sent, context: JudgementContext): Promise<Judgement> {
  if (sent.kind === 'failed') {
    return { kind: 'unavailable', reason: sent.reason, message: sent.message, retryAtMs: context.retryAtMs(null) };
  }
  const { response, body } = sent;
  const { status } = response;
  if (status === 200 && body !== null) return { kind: 'ok', response, body };
  if (isRedirect(status)) {
    await body?.cancel();
    const location = response.headers.get('location');
    const within =
      location === null ? undefined : locationWithin(location, context.requestUrl, context.upstreams.values());
    return { kind: 'redirect', status, location: within };
  }
  const answer = await readAnswer(response, body);
  const retryAfter = response.headers.get('retry-after');
  if (status === 429 || (status === 401 && context.isData)) {
    return { kind: 'throttled', retryAtMs: context.retryAtMs(retryAfter), answer };
  }
  if (status >= 400 && status < 500 && status !== 408) return { kind: 'denied', answer };
  return {
    kind: 'unavailable',
    reason: 'status',
    message: `upstream answered ${status}`,
    retryAtMs: context.retryAtMs(retryAfter),
    answer,
  };
}
