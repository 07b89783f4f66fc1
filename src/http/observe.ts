/**
 * Counts and logs every request when its answer has ended: by its last byte, because it broke, or since the client left.
 * Logged are names and numbers; never a query, a field or a body.
 */
import { WholeBody } from '../bytes/whole-body.ts';
import { reasonPhrase } from './reason-phrase.ts';
import type { PopularityCounters } from '../popularity/contract.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { AnswerSource, Metrics, RequestKind } from '../telemetry/metrics.ts';

export interface Observation {
  kind: RequestKind;
  readonly method: string;
  readonly startedAtMs: number;
  /** Keeps the runtime alive for what is found out behind the answer, where it needs that. */
  readonly keepAlive?: ((work: Promise<unknown>) => void) | undefined;
  repo?: string;
  protocol?: number;
}

export interface Observer {
  readonly now: () => number;
  readonly metrics: Pick<Metrics, 'requests' | 'requestSeconds' | 'servedBytes' | 'warmedRequests'>;
  readonly logger: Logger;
  readonly popularity: Pick<PopularityCounters, 'countAnswer'>;
  /** Whether warming has made the repository ready. */
  readonly isWarmed: (repo: string) => boolean | Promise<boolean>;
  /** False where a body would lose its length when it is wrapped (Workers): one of declared length counts when it begins. */
  readonly wrapsSized: boolean;
}

/** The same answer, observed, with a reason phrase where it had none. `ended` is called once. */
export function observe(
  observer: Observer,
  observation: Observation,
  response: Response,
  ended?: () => void,
): Response {
  const { now, metrics, logger, popularity, isWarmed } = observer;
  const source = sourceOf(response.headers.get('x-hotpack-source'));
  const finish = (bytes: number, end: 'ended' | 'left' | 'broke'): void => {
    const ms = now() - observation.startedAtMs;
    const { kind, method, repo, protocol } = observation;
    // What upstream alone answers (pushes, LFS, unknown paths) proves no repository.
    const isReading = kind === 'info-refs' || kind === 'ls-refs' || kind === 'fetch';
    const read = isReading && source !== 'none' && response.status === 200 ? repo : undefined;
    metrics.requests.add({ kind, source, repo: read ?? '' });
    metrics.requestSeconds.observe({ kind, source }, ms / 1000);
    if (bytes > 0) metrics.servedBytes.add({ source, repo: read ?? '' }, bytes);
    if (read !== undefined && source !== 'none') {
      popularity.countAnswer(read, source, bytes);
      if (kind === 'fetch') countWarmed(read, source);
    }
    logger.debug('request', {
      kind,
      method,
      ...(repo === undefined ? {} : { repo }),
      ...(protocol === undefined ? {} : { protocol }),
      status: response.status,
      source,
      bytes,
      ms,
      end,
    });
    ended?.();
  };

  const countWarmed = (repo: string, from: Exclude<AnswerSource, 'none'>): void => {
    const known = isWarmed(repo);
    if (known === true) metrics.warmedRequests.add({ source: from });
    if (typeof known === 'boolean') return;
    const counted = known.then((yes) => (yes ? metrics.warmedRequests.add({ source: from }) : undefined));
    observation.keepAlive?.(counted.catch((error: unknown) => logger.debug('counts_failed', { repo, error })));
  };

  if (response.body === null || observation.method === 'HEAD') {
    // Whoever made a body for HEAD must get to know that nobody reads it.
    response.body?.cancel().catch(() => undefined);
    finish(0, 'ended');
    return new Response(null, headOf(response));
  }
  const declared = observer.wrapsSized ? 0 : Number(response.headers.get('content-length') ?? 0);
  if (declared > 0) {
    finish(declared, 'ended');
    return response;
  }
  if (response.body instanceof WholeBody) {
    response.body.onEnd(finish);
    return response;
  }
  return new Response(counted(response.body, finish), headOf(response));
}

function headOf({ status, statusText, headers }: Response): ResponseInit {
  return { status, statusText: statusText === '' ? reasonPhrase(status) : statusText, headers };
}

function counted(
  source: ReadableStream<Uint8Array>,
  finish: (bytes: number, end: 'ended' | 'left' | 'broke') => void,
): ReadableStream<Uint8Array> {
  const reader = source.getReader();
  let bytes = 0;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { done, value } = await reader.read();
          if (done) {
            finish(bytes, 'ended');
            controller.close();
          } else {
            bytes += value.length;
            controller.enqueue(value);
          }
        } catch (error) {
          finish(bytes, 'broke');
          controller.error(error);
        }
      },
      async cancel(reason) {
        finish(bytes, 'left');
        await reader.cancel(reason);
      },
    },
    { highWaterMark: 0 },
  );
}

function sourceOf(header: string | null): AnswerSource {
  return header === 'pack-cache' || header === 'mirror' || header === 'upstream' ? header : 'none';
}
