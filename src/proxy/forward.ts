/**
 * Byte for byte: push, `git-upload-archive`, LFS, dumb HTTP, upstreams without v2, SHA-256 repositories, and whatever
 * else is asked for below a repository. The client's own fields go to upstream by allow-list, and upstream's come back by
 * another one; hotpack's token never goes along.
 *
 * LFS answers hold absolute URLs of upstream's (or of its storage). They are left as they are: each carries its own
 * short-lived authorization, which is meant for that host, and git-lfs takes objects from anywhere.
 */
import type { Upstream, UpstreamAnswer } from '../upstream/contract.ts';
import { isOwnField } from '../upstream/credential.ts';
import { relayedFields } from '../upstream/exchange/answer.ts';
import { isRedirect, LEADS_OUTSIDE, locationWithin } from '../upstream/exchange/redirect.ts';
import type { Repository, UpstreamConfig } from '../upstream/repository.ts';

export interface ProxyDeps {
  readonly upstream: Pick<Upstream, 'forward'>;
  readonly upstreams: ReadonlyMap<string, UpstreamConfig>;
  /** Called when the answer to a push has ended: what is known of this repository's refs is out of date. */
  readonly onPushed?: (repository: Repository) => void;
}

export interface ProxyRequest {
  readonly repository: Repository;
  /** What follows the repository: `/git-receive-pack`. */
  readonly rest: string;
  /** With its `?`, or empty. */
  readonly query: string;
  readonly method: string;
  readonly headers: Iterable<readonly [string, string]>;
  /** As it came, encoding and all. */
  readonly body: ReadableStream<Uint8Array> | null;
  readonly signal: AbortSignal;
}

export type ProxyAnswer = Omit<UpstreamAnswer, 'body'> & {
  readonly body: ReadableStream<Uint8Array> | Uint8Array | null;
};

export interface Proxy {
  /** Rejects with `upstream_unavailable`, `timeout` or `aborted`. */
  forward(request: ProxyRequest): Promise<ProxyAnswer>;
}

const FORWARDED = new Set([
  'accept',
  'accept-language',
  'authorization',
  'cache-control',
  'content-encoding',
  'content-type',
  'cookie',
  'git-protocol',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'pragma',
  'range',
  'user-agent',
]);

/** What of a client's request goes to upstream. */
export function forwardedHeaders(headers: ProxyRequest['headers']): Headers {
  const forwarded = new Headers();
  for (const [name, value] of headers) if (FORWARDED.has(name) || isOwnField(name)) forwarded.set(name, value);
  return forwarded;
}

export function createProxy({ upstream, upstreams, onPushed }: ProxyDeps): Proxy {
  return {
    async forward(request) {
      const { repository, rest, query, method, signal } = request;
      const hasBody = request.body !== null && method !== 'GET' && method !== 'HEAD';
      const headers = forwardedHeaders(request.headers);
      const answer = await upstream.forward(repository, {
        method,
        rest,
        query,
        headers,
        body: hasBody ? request.body : null,
        signal,
      });
      const fields = relayedFields(answer.headers);
      const length = declaredLength(answer.headers);
      if (length !== undefined) fields.push(['content-length', length]);

      if (isRedirect(answer.status)) {
        const location = answer.headers.get('location');
        const from = `${repository.url}${rest}${query}`;
        const within = location === null ? undefined : locationWithin(location, from, upstreams.values());
        if (within === undefined) {
          await answer.body?.cancel();
          return elsewhere();
        }
        fields.push(['location', within]);
      } else {
        // Of a created LFS lock or the like: told in the same way, or not at all.
        const location = answer.headers.get('location');
        const within =
          location === null ? undefined : locationWithin(location, `${repository.url}${rest}`, upstreams.values());
        if (within !== undefined) fields.push(['location', within]);
      }
      const pushed = method === 'POST' && rest === '/git-receive-pack' && answer.status === 200;
      const body = pushed && onPushed !== undefined ? afterwards(answer.body, () => onPushed(repository)) : answer.body;
      return { status: answer.status, headers: fields, body };
    },
  };
}

/** `fetch` decodes an encoded body and keeps both fields: then the length is that of other bytes. */
function declaredLength(headers: Headers): string | undefined {
  return headers.has('content-encoding') ? undefined : (headers.get('content-length') ?? undefined);
}

function elsewhere(): ProxyAnswer {
  const text = `${LEADS_OUTSIDE}\n`;
  return {
    status: 502,
    headers: [['content-type', 'text/plain; charset=utf-8']],
    body: new TextEncoder().encode(text),
  };
}

/** The same stream; `done` is called once, when it ended, broke or was given up. */
function afterwards(source: ReadableStream<Uint8Array> | null, done: () => void): ReadableStream<Uint8Array> | null {
  if (source === null) {
    done();
    return null;
  }
  const reader = source.getReader();
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { done: ended, value } = await reader.read();
          if (ended) {
            done();
            controller.close();
          } else controller.enqueue(value);
        } catch (error) {
          done();
          controller.error(error);
        }
      },
      async cancel(reason) {
        done();
        await reader.cancel(reason);
      },
    },
    { highWaterMark: 0 },
  );
}
