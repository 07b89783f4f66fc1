import { createServer, type Server } from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { createNodeFetch } from '../../../adapters/node-fetch.ts';

let server: Server;
afterEach(() => void server.close());

/** Answers each connection with `answer`, whatever it is asked, and says how often it was asked. */
async function upstream(answer: string): Promise<{ url: string; asked: () => readonly string[] }> {
  const requests: string[] = [];
  server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', (bytes) => {
      requests.push(bytes.toString('latin1'));
      socket.end(answer);
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, asked: () => requests };
}

const LOOSE = 'HTTP/1.1 401 Authorization Required\nWWW-Authenticate: A x=1\nWWW-Authenticate: B\n\nno';

test('an upstream that ends its lines without CR is read after all, from then on at once', async () => {
  const { url, asked } = await upstream(LOOSE);
  let strict = 0;
  const fetchLoosely = createNodeFetch((address, init) => {
    strict++;
    return fetch(address, init);
  });
  const answer = await fetchLoosely(url, { method: 'POST', body: new TextEncoder().encode('0000') });
  expect([answer.status, await answer.text()]).toEqual([401, 'no']);
  expect(answer.headers.get('www-authenticate')).toBe('A x=1, B');
  await (await fetchLoosely(url, {})).text();
  expect(strict).toBe(1);
  expect(asked().map((request) => request.slice(0, request.indexOf('\r')))).toEqual([
    'POST / HTTP/1.1',
    'POST / HTTP/1.1',
    'GET / HTTP/1.1',
  ]);
});

test('a connection that is refused is no reason for leniency, and an aborted request rejects', async () => {
  const { url } = await upstream(LOOSE);
  const refuse = createNodeFetch(() => Promise.reject(new TypeError('fetch failed', { cause: new Error('refused') })));
  await expect(refuse(url, {})).rejects.toThrow('fetch failed');
  const fetchLoosely = createNodeFetch();
  await (await fetchLoosely(url, {})).text();
  await expect(fetchLoosely(url, { signal: AbortSignal.abort() })).rejects.toThrow('abort');
});
