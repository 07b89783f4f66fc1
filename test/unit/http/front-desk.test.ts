import { request as httpRequest } from 'node:http';
import { gzipSync } from 'node:zlib';
import { serve as serveNode } from 'h3/node';
import { afterEach, expect, test } from 'vitest';
import { answerGit } from '../../../adapters/node-git.ts';
import { sendBodies } from '../../../adapters/node-send.ts';
import { createAccess } from '../../../src/access/gate.ts';
import { HotpackError, type ErrorCode } from '../../../src/bytes/error.ts';
import { createHttp, type HttpDeps } from '../../../src/http/create-http.ts';
import { createPopularity } from '../../../src/popularity/popularity.ts';
import { createProxy } from '../../../src/proxy/forward.ts';
import type { Serve, ServeContext } from '../../../src/serve/contract.ts';
import { createMemoryStorage } from '../../../src/storage/drivers/memory.ts';
import { createKv } from '../../../src/storage/kv/driver-kv.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { createWorld, gitAnswer, type World } from '../upstream/support.ts';

const SECRET = 'Bearer hunter2-of-the-client';
const UPLOAD = { 'content-type': 'application/x-git-upload-pack-request' };

interface Desk {
  readonly base: string;
  readonly port: number;
  readonly pushed: string[];
  readonly served: Array<{ readonly context: ServeContext; readonly body?: Uint8Array }>;
}

/** Nothing is warmed here. */
const coldWarm: HttpDeps['warm'] = {
  start: () => undefined,
  stop: () => Promise.resolve(),
  state: () => ({ running: false, startedAtMs: undefined, endedAtMs: undefined, outcome: undefined, repos: [] }),
  warmRepository: () => Promise.reject(new Error('not asked for here')),
  warmLater: () => Promise.resolve(),
  isWarmed: () => false,
};

let world: World;
let close: () => Promise<void>;
afterEach(async () => {
  await close();
  await world.host.stop();
  if (/hunter2|question=secret|of-hotpack/.test(world.lines.join('\n'))) throw new Error('a secret was logged');
});

/** As Node serves it; `routed`: through the routes alone, as elsewhere. */
async function open(
  serve: Partial<Serve> = {},
  overrides: Partial<HttpDeps> = {},
  { routed = false }: { readonly routed?: boolean } = {},
): Promise<Desk> {
  world = await createWorld({ token: 'token-of-hotpack' });
  world.host.answer = gitAnswer;
  const { upstream, upstreams, metrics } = world;
  const now = (): number => world.now;
  const logger = createLogger({ sink: (line) => world.lines.push(line), level: 'debug', now, secrets: [] });
  const pushed: string[] = [];
  const served: Desk['served'] = [];
  const source = { 'x-hotpack-source': 'mirror' };
  const { h3: app, git } = createHttp({
    upstreams,
    now,
    metrics,
    logger,
    maxRequestBytes: 100_000,
    access: createAccess({ upstream, now, secret: new Uint8Array(32), metrics, logger }),
    proxy: createProxy({ upstream, upstreams, onPushed: (repository) => pushed.push(repository.name) }),
    serve: {
      advertise: (context) => {
        served.push({ context });
        return Promise.resolve(new Response('refs', { headers: source }));
      },
      uploadPack: (context, body) => {
        served.push({ context, body });
        return Promise.resolve(new Response('pack', { headers: source }));
      },
      ...serve,
    },
    readiness: () => Promise.resolve({ ready: true }),
    popularity: createPopularity(
      { kv: createKv(createMemoryStorage()), instance: 'i00000001', now, logger, metrics },
      { flushIntervalMs: 5_000, retentionMs: 90 * 86_400_000 },
    ),
    warm: coldWarm,
    states: { names: () => Promise.resolve([]), of: (name) => Promise.reject(new Error(name)) },
    adminToken: undefined,
    peerOf: (event) => event.req.ip,
    ...overrides,
  });
  const middleware = routed ? [] : [sendBodies, answerGit(git)];
  const server = serveNode(app, { port: 0, hostname: '127.0.0.1', silent: true, gracefulShutdown: false, middleware });
  await server.ready();
  close = () => server.close(true);
  const base = (server.url ?? '').replace(/\/$/, '');
  return { base, port: Number(new URL(base).port), pushed, served };
}

/** A request as it is written, without a URL parser in between. */
function raw(port: number, path: string, headers: Record<string, string> = {}, method = 'GET') {
  return new Promise<{ status: number; raw: string[]; body: string }>((resolve, reject) => {
    const sent = httpRequest({ host: '127.0.0.1', port, path, method, headers }, (answer) => {
      let body = '';
      answer.setEncoding('latin1').on('data', (chunk: string) => (body += chunk));
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, raw: answer.rawHeaders, body }));
    });
    sent.on('error', reject).end();
  });
}

test.each([
  ['GET', '/git/up/a%2fb/info/refs', 400],
  ['GET', '/git/up/a%zz/info/refs', 400],
  ['GET', '/git/nowhere/a/info/refs', 404],
  ['GET', '/', 404],
  ['POST', '/git/up/a/b/info/refs', 405],
  ['GET', '/git/up/a/b/git-upload-pack', 405],
  ['GET', '/git/up/a/b/git-receive-pack', 405],
  ['OPTIONS', '/git/up/a/b/HEAD', 405],
  ['POST', '/_liveness', 405],
  ['POST', '/git/up/a/b/git-upload-pack', 415],
])('%s %s is %d in text, without a word to upstream', async (method, path, status) => {
  const { port } = await open();
  const answer = await raw(port, path, {}, method);
  expect(answer.status).toBe(status);
  expect(answer.raw.join(' ').toLowerCase()).toContain('text/plain');
  expect(answer.raw.some((name) => name.toLowerCase() === 'allow')).toBe(status === 405);
  expect(world.host.seen).toEqual([]);
});

test('dot segments that a runtime resolved name the repository that they resolve to, for access as for serve', async () => {
  const { port, served } = await open();
  const answer = await raw(port, '/git/up/a/x/../b/info/refs?service=git-upload-pack');
  expect(answer.status).toBe(200);
  expect(served[0]?.context.repository).toMatchObject({ name: 'up/a/b', url: `${world.host.base}/a/b` });
  expect(world.host.seen[0]?.url).toBe('/a/b/info/refs?service=git-upload-pack');
});

test('the probes and the metrics', async () => {
  const { base } = await open({}, { readiness: () => Promise.resolve({ ready: false, reason: 'draining' }) });
  expect((await fetch(`${base}/_liveness`)).status).toBe(200);
  const readiness = await fetch(`${base}/_readiness`);
  expect([readiness.status, await readiness.json()]).toEqual([503, { ready: false, reason: 'draining' }]);
  expect(await (await fetch(`${base}/metrics`)).text()).toContain('hotpack_requests_total');
});

test('an advertisement goes through access to serve, is not to be kept, counted and logged without its secrets', async () => {
  const { base, served } = await open();
  const answer = await fetch(`${base}/git/up/a/b.git/info/refs?service=git-upload-pack&question=secret`, {
    headers: { authorization: SECRET, 'git-protocol': 'foo:version=2:version=1' },
  });
  expect(await answer.text()).toBe('refs');
  expect(answer.headers.get('cache-control')).toMatch(/no-cache.*no-transform/);
  expect(served[0]?.context).toMatchObject({
    protocol: 2,
    repository: { name: 'up/a/b' },
    granted: { kind: 'granted' },
  });
  expect(world.host.seen[0]?.headers.authorization).toBe(SECRET);
  const metrics = await world.metrics.render();
  expect(metrics).toContain('hotpack_requests_total{kind="info-refs",source="mirror"} 1');
  expect(metrics).toContain('hotpack_served_bytes_total{source="mirror"} 4');
  expect(world.lines.filter((line) => line.includes('"request"')).length).toBe(1);
});

test('HEAD gives up the body that was made for it', async () => {
  let cancelled = 0;
  const body = () => new ReadableStream({ cancel: () => void cancelled++ }, { highWaterMark: 0 });
  const { base } = await open({ advertise: () => Promise.resolve(new Response(body())) });
  const answer = await fetch(`${base}/git/up/a/info/refs?service=git-upload-pack`, { method: 'HEAD' });
  expect([answer.status, await answer.text(), cancelled]).toEqual([200, '', 1]);
});

test('bodies: plain, chunked, gzip; bombs, garbage and unknown encodings are refused', async () => {
  const { base, served } = await open();
  const post = (body: BodyInit, headers: Record<string, string> = {}) =>
    fetch(`${base}/git/up/a/b/git-upload-pack`, {
      method: 'POST',
      body,
      headers: { ...UPLOAD, ...headers },
      duplex: 'half',
    } as RequestInit);
  const text = '0014command=ls-refs\n0000';
  expect((await post(text)).status).toBe(200);
  expect((await post(new Blob([text]).stream())).status).toBe(200);
  expect((await post(gzipSync(text), { 'content-encoding': 'gzip' })).status).toBe(200);
  expect(served.map(({ body }) => new TextDecoder().decode(body))).toEqual([text, text, text]);
  expect(await world.metrics.render()).toContain('hotpack_requests_total{kind="ls-refs",source="mirror"} 3');

  const bomb = gzipSync(Buffer.alloc(50_000_000));
  expect(bomb.length).toBeLessThan(100_000);
  expect((await post(bomb, { 'content-encoding': 'gzip' })).status).toBe(413);
  expect((await post('x'.repeat(100_001))).status).toBe(413);
  expect((await post(new Blob(['x'.repeat(100_001)]).stream())).status).toBe(413);
  expect((await post('no gzip', { 'content-encoding': 'gzip' })).status).toBe(400);
  expect((await post(gzipSync(text).subarray(0, 15), { 'content-encoding': 'gzip' })).status).toBe(400);
  expect((await post(text, { 'content-encoding': 'br' })).status).toBe(415);
  expect(served.length).toBe(3);
});

test.each<[ErrorCode, number, string]>([
  ['not_our_ref', 200, 'ERR words'],
  ['malformed_request', 200, 'ERR words'],
  ['upstream_refused', 200, 'ERR words'],
  ['malformed_pkt_line', 400, 'words'],
  ['upstream_unavailable', 503, 'words'],
  ['timeout', 503, 'words'],
  ['storage_unavailable', 503, 'hotpack could not answer'],
  ['invalid_argument', 500, 'hotpack could not answer'],
])('%s in a POST is %d', async (code, status, text) => {
  const { base } = await open({ uploadPack: () => Promise.reject(new HotpackError(code, 'words')) });
  const answer = await fetch(`${base}/git/up/a/b/git-upload-pack`, { method: 'POST', body: '0000', headers: UPLOAD });
  expect(answer.status).toBe(status);
  expect(await answer.text()).toContain(text);
  expect(Number(answer.headers.get('retry-after') ?? 0) > 0).toBe(status === 503);
});

test('the signal fires when the client leaves', async () => {
  let left: Promise<void> | undefined;
  const { base } = await open({
    uploadPack: (context) => {
      left = new Promise((resolve) => context.signal.addEventListener('abort', () => resolve(), { once: true }));
      return Promise.resolve(new Response(new ReadableStream({ start: (c) => c.enqueue(new Uint8Array(10)) })));
    },
  });
  const leaving = new AbortController();
  await fetch(`${base}/git/up/a/b/git-upload-pack`, {
    method: 'POST',
    body: '0000',
    headers: UPLOAD,
    signal: leaving.signal,
  });
  leaving.abort();
  await expect(left).resolves.toBeUndefined();
});

test('through the routes, as on runtimes without a way of their own, the answers are the same', async () => {
  const { base, served } = await open({}, {}, { routed: true });
  const url = `${base}/git/up/a/b/git-upload-pack`;
  const headers = { ...UPLOAD, 'content-encoding': 'gzip', authorization: SECRET, 'git-protocol': 'version=2' };
  const answer = await fetch(url, { method: 'POST', headers, body: gzipSync('0000') });
  expect([answer.status, await answer.text(), answer.headers.get('pragma')]).toEqual([200, 'pack', 'no-cache']);
  expect(served.map(({ context, body }) => [context.protocol, new TextDecoder().decode(body)])).toEqual([[2, '0000']]);
  const plain = await fetch(url, { method: 'POST', headers: UPLOAD, body: 'x'.repeat(100_001) });
  expect(plain.status).toBe(413);
});

test("challenges are handed on one by one, with upstream's words", async () => {
  const { port } = await open();
  world.host.answer = (_seen, response) => {
    response.writeHead(401, [
      'www-authenticate',
      'FooBar p="a, b"',
      'WWW-Authenticate',
      'Basic realm="x"',
      'content-type',
      'text/plain',
      'connection',
      'close',
      'server',
      'x',
    ]);
    response.end('who are you?\n');
  };
  for (const path of [
    '/git/up/a/b/info/refs?service=git-upload-pack',
    '/git/up/a/b/info/refs?service=git-receive-pack',
  ]) {
    const answer = await raw(port, path);
    expect([answer.status, answer.body]).toEqual([401, 'who are you?\n']);
    const challenges = answer.raw.filter((_value, i) => answer.raw[i - 1]?.toLowerCase() === 'www-authenticate');
    expect(challenges).toEqual(['FooBar p="a, b"', 'Basic realm="x"']);
    expect(answer.raw).not.toContain('server');
  }
});

test('without an answer of upstream: 503 and its words; 429 as it is', async () => {
  const { base } = await open();
  const url = `${base}/git/up/a/b/info/refs?service=git-upload-pack`;
  world.host.answer = (_seen, response) =>
    void response.writeHead(500, { 'content-type': 'text/plain; charset=utf-16' }).end('words');
  const broken = await fetch(url);
  expect([broken.status, broken.headers.get('content-type'), await broken.text()]).toEqual([
    503,
    'text/plain; charset=utf-16',
    'words',
  ]);
  world.host.answer = (_seen, response) => void response.writeHead(429, { 'retry-after': '77' }).end();
  const throttled = await fetch(url);
  expect([throttled.status, throttled.headers.get('retry-after')]).toEqual([429, '77']);
  await world.host.stop();
  expect((await fetch(url)).status).toBe(503);
});

test("a push streams through with the client's credential alone and is told when it has ended", async () => {
  const { base, pushed } = await open();
  world.host.answer = (_seen, response) =>
    void response.writeHead(200, { 'content-type': 'application/x-git-receive-pack-result' }).end('done');
  const body = new Blob(['0000', 'PACK'.repeat(50_000)]).stream();
  const answer = await fetch(`${base}/git/up/a/b.git/git-receive-pack?question=secret`, {
    method: 'POST',
    body,
    duplex: 'half',
    headers: {
      authorization: SECRET,
      'content-type': 'application/x-git-receive-pack-request',
      'x-team': 'blue',
      'x-forwarded-for': '::1',
    },
  } as RequestInit);
  expect(await answer.text()).toBe('done');
  expect(pushed).toEqual(['up/a/b']);
  const [seen] = world.host.seen;
  expect(seen?.url).toBe('/a/b.git/git-receive-pack?question=secret');
  expect(seen?.body.length).toBe(200_004);
  expect(seen?.headers).toMatchObject({ authorization: SECRET, 'x-team': 'blue', 'transfer-encoding': 'chunked' });
  expect(seen?.headers).not.toHaveProperty('x-forwarded-for');
  expect(await world.metrics.render()).toContain('hotpack_requests_total{kind="push",source="upstream"} 1');
});

test('LFS answers are relayed as they are; dumb files keep their ranges and lengths', async () => {
  const { base } = await open();
  const href = `${world.host.base}/lfs/objects/1`;
  world.host.answer = (seen, response) => {
    if (seen.method === 'POST')
      response.writeHead(200, { 'content-type': 'application/vnd.git-lfs+json' }).end(JSON.stringify({ href }));
    else
      response
        .writeHead(206, { 'content-range': 'bytes 1-3/9', 'content-length': '3', etag: '"e"', transfer: 'x' })
        .end('abc');
  };
  const accept = 'application/vnd.git-lfs+json';
  const batch = await fetch(`${base}/git/up/a/b.git/info/lfs/objects/batch`, {
    method: 'POST',
    body: '{}',
    headers: { accept, 'content-type': accept },
  });
  expect([batch.headers.get('content-type'), await batch.json()]).toEqual([accept, { href }]);
  expect(world.host.seen[0]?.headers.accept).toBe(accept);
  const part = await fetch(`${base}/git/up/a/b.git/objects/info/packs`, {
    headers: { range: 'bytes=1-3', 'if-none-match': '"e"' },
  });
  expect([
    part.status,
    part.headers.get('content-range'),
    part.headers.get('content-length'),
    await part.text(),
  ]).toEqual([206, 'bytes 1-3/9', '3', 'abc']);
  expect(world.host.seen[1]?.headers).toMatchObject({ range: 'bytes=1-3', 'if-none-match': '"e"' });
  expect(part.headers.has('transfer')).toBe(false);
});

test('redirects stay with hotpack or are refused', async () => {
  const { base } = await open();
  for (const service of ['git-upload-pack', 'git-receive-pack']) {
    const url = `${base}/git/up/a/b/info/refs?service=${service}`;
    world.host.answer = (seen, response) =>
      void response.writeHead(301, { location: seen.url.replace('/a/b/', '/c/d/') }).end();
    const moved = await fetch(url, { redirect: 'manual' });
    expect([moved.status, moved.headers.get('location')]).toEqual([301, `/git/up/c/d/info/refs?service=${service}`]);
    world.host.answer = (_seen, response) =>
      void response.writeHead(302, { location: 'https://evil.example.com/' }).end();
    const out = await fetch(url, { redirect: 'manual', headers: { authorization: SECRET } });
    expect([out.status, out.headers.has('location')]).toEqual([502, false]);
  }
});

test('an upstream without v2 is proxied, gzip body and all', async () => {
  const { base, served } = await open();
  world.host.answer = (seen, response) =>
    gitAnswer({ ...seen, headers: { ...seen.headers, 'git-protocol': undefined } }, response);
  const zipped = gzipSync('0000');
  const answer = await fetch(`${base}/git/up/a/b/git-upload-pack`, {
    method: 'POST',
    body: zipped,
    headers: { ...UPLOAD, 'content-encoding': 'gzip', 'git-protocol': 'version=2' },
  });
  expect(answer.headers.get('x-hotpack-source')).toBe('upstream');
  await answer.text();
  expect(served).toEqual([]);
  expect(world.host.seen[1]?.headers['content-encoding']).toBe('gzip');
  expect(Buffer.from(world.host.seen[1]?.body ?? '', 'latin1').equals(zipped)).toBe(true);
});

test('an upstream that refuses a push in its middle does not end the process, and its no comes through', async () => {
  const { base } = await open();
  world.host.onRequest = (_request, response) => {
    response.writeHead(403, { 'content-type': 'text/plain', connection: 'close' }).end('no pushing here\n');
    return true;
  };
  let sent = 0;
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      if (++sent > 200) controller.close();
      else controller.enqueue(new Uint8Array(65_536));
    },
  });
  const statuses: Array<number | string> = [];
  const push = fetch(`${base}/git/up/a/b/git-receive-pack`, { method: 'POST', body, duplex: 'half' } as RequestInit);
  statuses.push(await push.then((answer) => answer.status).catch(() => 'reset'));
  expect(['reset', 403, 503]).toContain(statuses[0]);
  expect((await fetch(`${base}/_liveness`)).status).toBe(200);
});

test('who takes hotpack for a forward proxy is told so, and upstream is not asked', async () => {
  const { base, port } = await open();
  const answer = await raw(port, `${base}/git/up/a.git/info/refs?service=git-upload-pack`, { authorization: SECRET });
  expect(answer.status).toBe(400);
  expect(answer.body).toContain('no forward proxy');
  expect(world.host.seen).toHaveLength(0);
});

test('every answer has a reason phrase', async () => {
  const { port } = await open();
  for (const [path, phrase] of [
    ['/git/up/a.git/info/refs?service=git-upload-pack', 'OK'],
    ['/git/nowhere/a/info/refs', 'Not Found'],
  ] as const) {
    const said = await new Promise<string | undefined>((resolve, reject) => {
      const sent = httpRequest({ host: '127.0.0.1', port, path }, (answer) => {
        answer.resume();
        resolve(answer.statusMessage);
      });
      sent.on('error', reject).end();
    });
    expect(said).toBe(phrase);
  }
});
