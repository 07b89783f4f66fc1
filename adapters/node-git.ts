/**
 * Requests below `/git/` on their way in, straight from Node's own: no `Request`, no `Headers`, no stream, no router for what
 * is asked for most. Everything else goes to the app's routes.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import type { ReadableStream as NodeReadableStream } from 'node:stream/web';
import type { serve } from 'h3/node';
import { HotpackError } from '../src/bytes/error.ts';
import { concatBytes } from '../src/bytes/streams.ts';
import type { GitArrival, RequestHeaders } from '../src/http/arrival.ts';
import { type ArrivingBody, bodyTooLarge } from '../src/http/arriving-body.ts';
import type { GitDesk } from '../src/http/git-desk.ts';
import { shieldedStream } from '../src/http/shielded-body.ts';

type Middleware = NonNullable<NonNullable<Parameters<typeof serve>[1]>['middleware']>[number];

/** What a URL parser would change (dot segments, backslashes, fragments) is for the routes, which have one. */
const PLAIN_PATH = /^\/git\/(?!.*(?:\/(?:\.|%2e)|[\\#]))/i;

export function answerGit(desk: GitDesk): Middleware {
  return (request, next) => {
    const { req, res } = request.runtime?.node ?? {};
    if (req?.url === undefined || !PLAIN_PATH.test(req.url) || res === undefined) return next();
    return desk(arrivalOf(req as IncomingMessage, res as ServerResponse));
  };
}

/** What arrives with `request`, to be answered by `response`. */
export function arrivalOf(request: IncomingMessage, response: ServerResponse): GitArrival {
  const leaving = new AbortController();
  response.once('close', () => {
    if (!response.writableFinished) leaving.abort();
  });
  return {
    method: request.method ?? 'GET',
    url: request.url ?? '/',
    headers: new NodeHeaders(request.rawHeaders),
    body: new NodeBody(request),
    signal: leaving.signal,
    // Several challenges are several header fields; a Response would join them.
    writeChallenges: (challenges) => void response.setHeader('www-authenticate', [...challenges]),
  };
}

/** Field by field what `Headers` would say. */
class NodeHeaders implements RequestHeaders {
  readonly #fields = new Map<string, string>();

  constructor(raw: readonly string[]) {
    for (let i = 0; i + 1 < raw.length; i += 2) {
      const name = (raw[i] as string).toLowerCase();
      const value = raw[i + 1] as string;
      const present = this.#fields.get(name);
      this.#fields.set(name, present === undefined ? value : `${present}${name === 'cookie' ? '; ' : ', '}${value}`);
    }
  }

  /** `name`: in lower case. */
  get(name: string): string | null {
    return this.#fields.get(name) ?? null;
  }

  [Symbol.iterator](): IterableIterator<[string, string]> {
    return this.#fields.entries();
  }
}

class NodeBody implements ArrivingBody {
  readonly #request: IncomingMessage;

  constructor(request: IncomingMessage) {
    this.#request = request;
  }

  stream(): ReadableStream<Uint8Array> | null {
    const { method } = this.#request;
    if (method === 'GET' || method === 'HEAD') return null;
    return shieldedStream(
      () => Readable.toWeb(this.#request) as NodeReadableStream<Uint8Array> as ReadableStream<Uint8Array>,
    );
  }

  readAll(maxBytes: number, signal: AbortSignal): Promise<Uint8Array> {
    const request = this.#request;
    const broken = (): Error =>
      signal.aborted ? new HotpackError('aborted', 'the client left') : new Error('broken off');
    // Of what has closed by now nothing would be heard any more.
    if (request.destroyed) return Promise.reject(broken());
    return new Promise((resolve, reject) => {
      const parts: Uint8Array[] = [];
      let length = 0;
      const stop = (): void =>
        void request.off('data', onData).off('end', onEnd).off('error', onBreak).off('close', onBreak);
      const onData = (part: Uint8Array): void => {
        length += part.length;
        parts.push(part);
        if (length <= maxBytes) return;
        // What is still to come stays where it is; Node drops it with the connection.
        request.pause();
        stop();
        reject(bodyTooLarge(maxBytes));
      };
      const onEnd = (): void => {
        stop();
        resolve(concatBytes(parts, length));
      };
      const onBreak = (): void => {
        stop();
        reject(broken());
      };
      request.on('data', onData).once('end', onEnd).once('error', onBreak).once('close', onBreak);
    });
  }
}
