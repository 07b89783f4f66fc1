import { once } from 'node:events';
import { createServer, request, type ClientRequest, type Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { arrivalOf } from '../../../adapters/node-git.ts';
import { readAllStream } from '../../../src/bytes/streams.ts';
import type { GitArrival } from '../../../src/http/arrival.ts';

const never = new AbortController().signal;

let server: Server;
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

/** A server that hands on what arrives, and answers once `answer` has settled. */
async function listen(answer: (arrival: GitArrival) => Promise<unknown>): Promise<number> {
  server = createServer((incoming, response) => {
    answer(arrivalOf(incoming, response)).then(
      (said) => response.end(String(said)),
      (error: unknown) => response.end(String((error as { code?: string }).code ?? error)),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

function send(port: number, method = 'POST'): ClientRequest {
  return request({ port, host: '127.0.0.1', agent: false, method }).on('error', () => undefined);
}

async function told(outgoing: ClientRequest): Promise<string> {
  const [incoming] = (await once(outgoing, 'response')) as [AsyncIterable<Buffer>];
  let text = '';
  for await (const part of incoming) text += part.toString('latin1');
  return text;
}

test('fields are what Headers would say of them', async () => {
  const fields = ['Authorization: a', 'authorization: b', 'Cookie: x=1', 'X-Own: 1', 'cookie: y=2', 'x-own: 2'];
  let arrived: GitArrival | undefined;
  const port = await listen((arrival) => Promise.resolve((arrived = arrival)));
  const socket = connect(port, '127.0.0.1');
  socket.end(['GET /git/x HTTP/1.1', 'host: h', ...fields, 'connection: close', '', ''].join('\r\n'));
  await once(socket.resume(), 'close');
  const headers = new Headers([['host', 'h'], ...fields.map((field) => field.split(': ') as [string, string])]);
  headers.set('connection', 'close');
  expect([...(arrived?.headers ?? [])].toSorted(([a], [b]) => (a < b ? -1 : 1))).toEqual([...headers]);
  for (const name of ['authorization', 'cookie', 'x-own', 'x-other']) {
    expect(arrived?.headers.get(name)).toBe(headers.get(name));
  }
});

test('a body is read whole, however it comes, or as a stream', async () => {
  const port = await listen((arrival) => arrival.body.readAll(10, never).then((bytes) => bytes.join(' ')));
  const pieces = send(port);
  pieces.write(Uint8Array.of(1, 2));
  setImmediate(() => pieces.end(Uint8Array.of(3)));
  expect(await told(pieces)).toBe('1 2 3');
  expect(await told(send(port).end())).toBe('');
  server.close();
  const streaming = await listen((arrival) => readAllStream(arrival.body.stream() as ReadableStream<Uint8Array>, 10));
  expect(await told(send(streaming).end(Uint8Array.of(4, 5)))).toBe('4,5');
});

test('no more of a body is held than its bound', async () => {
  const port = await listen((arrival) => arrival.body.readAll(10, never));
  expect(await told(send(port).end(new Uint8Array(11)))).toBe('limit_exceeded');
});

test('a client that leaves while it sends, or while it waits, fires the signal', async () => {
  const left = Promise.withResolvers<string>();
  const port = await listen(async (arrival) => {
    await arrival.body.readAll(10, arrival.signal).catch((error: { code: string }) => left.resolve(error.code));
  });
  const sending = send(port).setHeader('content-length', '9');
  sending.write(Uint8Array.of(1), () => sending.destroy());
  expect(await left.promise).toBe('aborted');
  server.close();
  const asked = Promise.withResolvers<void>();
  const gone = Promise.withResolvers<void>();
  const waiting = await listen((arrival) => {
    arrival.signal.addEventListener('abort', () => gone.resolve());
    asked.resolve();
    return gone.promise;
  });
  const outgoing = send(waiting, 'GET').end();
  await asked.promise;
  outgoing.destroy();
  await gone.promise;
});

test('a body that is asked for when its client has left is not waited for', async () => {
  const left = Promise.withResolvers<string>();
  const asked = Promise.withResolvers<void>();
  const port = await listen(async (arrival) => {
    asked.resolve();
    await new Promise((resolve) => arrival.signal.addEventListener('abort', resolve));
    await arrival.body.readAll(10, arrival.signal).catch((error: { code: string }) => left.resolve(error.code));
  });
  const sending = send(port).setHeader('content-length', '9');
  sending.flushHeaders();
  await asked.promise;
  sending.destroy();
  expect(await left.promise).toBe('aborted');
});

test('an answer that has gone out fires nothing', async () => {
  let arrived: GitArrival | undefined;
  const port = await listen((arrival) => Promise.resolve((arrived = arrival)));
  await told(send(port, 'GET').end());
  server.closeAllConnections();
  await new Promise((resolve) => setImmediate(resolve));
  expect(arrived?.signal.aborted).toBe(false);
});
