/**
 * The runtime's `fetch`, and a lenient one for upstreams whose HTTP it cannot read (line ends without CR, folded fields):
 * such an origin is asked through `node:http`'s lenient parser from then on, over a connection for each request, so
 * that bytes which are read leniently never run into the next answer.
 */
import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { Readable } from 'node:stream';
import type { ReadableStream as NodeReadableStream } from 'node:stream/web';

type Fetch = (url: string, init: RequestInit) => Promise<Response>;

const MAX_LENIENT_ORIGINS = 1_000;
const NO_BODY = new Set([204, 205, 304]);

export function createNodeFetch(strict: Fetch = (url, init) => fetch(url, init)): Fetch {
  const lenientOrigins = new Set<string>();
  return async (url, init) => {
    const { origin } = new URL(url);
    if (lenientOrigins.has(origin)) return lenientFetch(url, init);
    try {
      return await strict(url, init);
    } catch (error) {
      if (!isParseError(error) || lenientOrigins.size >= MAX_LENIENT_ORIGINS) throw error;
      lenientOrigins.add(origin);
      if (init.body instanceof ReadableStream) throw error;
      return lenientFetch(url, init);
    }
  };
}

/** How undici says that it cannot parse an answer; the code is there or not, as the message was found out. */
function isParseError(error: unknown): boolean {
  const cause: unknown = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error && cause.name === 'HTTPParserError';
}

async function lenientFetch(url: string, init: RequestInit): Promise<Response> {
  const { body = null, method = 'GET', signal } = init;
  const options: RequestOptions = {
    method,
    headers: Object.fromEntries(new Headers(init.headers)),
    agent: false,
    insecureHTTPParser: true,
    ...(signal === null || signal === undefined ? {} : { signal }),
  };
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    const request = (url.startsWith('https:') ? httpsRequest : httpRequest)(url, options, resolve);
    request.on('error', reject);
    if (body === null) request.end();
    else if (body instanceof ReadableStream) Readable.fromWeb(body as NodeReadableStream).pipe(request);
    else request.end(body);
  });
  const headers = new Headers();
  for (let i = 0; i + 1 < answer.rawHeaders.length; i += 2) {
    headers.append(answer.rawHeaders[i] as string, (answer.rawHeaders[i + 1] as string).replace(/[\r\n]+\s*/g, ' '));
  }
  const status = answer.statusCode ?? 502;
  const stream = NO_BODY.has(status) ? null : (Readable.toWeb(answer) as ReadableStream<Uint8Array>);
  return new Response(stream, { status, headers });
}
