import { once } from 'node:events';
import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { sendBody, sendWhole } from '../../../adapters/node-send.ts';
import { forOneTaker } from '../../../src/bytes/give-back.ts';
import { WholeBody } from '../../../src/bytes/whole-body.ts';

const MIB = 2 ** 20;

let server: Server;
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

interface Source {
  readonly body: ReadableStream<Uint8Array>;
  readonly made: Uint8Array[];
  cancelled: boolean;
}

/** Chunks as `make` makes them, one a pull; undefined ends. */
function source(make: (n: number) => Uint8Array | undefined): Source {
  const made: Uint8Array[] = [];
  const one: Source = {
    made,
    cancelled: false,
    body: new ReadableStream<Uint8Array>(
      {
        pull(controller) {
          const chunk = make(made.length);
          if (chunk === undefined) return controller.close();
          made.push(chunk);
          controller.enqueue(chunk);
        },
        cancel: () => void (one.cancelled = true),
      },
      { highWaterMark: 0 },
    ),
  };
  return one;
}

/** What a client gets when it asks for `body`, as soon as the answer begins. */
async function ask(body: ReadableStream<Uint8Array>): Promise<{ incoming: IncomingMessage; sent: Promise<void> }> {
  let sent: Promise<void> | undefined;
  server = createServer((_, sink: ServerResponse) => {
    sent = sendBody(new Response(null, { status: 203, headers: { 'x-a': 'b' } }), body, sink);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const outgoing = request({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', agent: false }).end();
  const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage];
  return { incoming, sent: sent as Promise<void> };
}

async function readAll(incoming: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of incoming as AsyncIterable<Buffer>) parts.push(part);
  return Buffer.concat(parts);
}

test('all bytes go out in order, and what was made for one taker is given back when it is written', async () => {
  const { body, made } = source((n) => (n === 8 ? undefined : forOneTaker(new Uint8Array(MIB).fill(n + 1))));
  const { incoming, sent } = await ask(body);
  const all = await readAll(incoming);
  await sent;
  expect([incoming.statusCode, incoming.headers['x-a']]).toEqual([203, 'b']);
  expect(all.equals(Buffer.concat(Array.from({ length: 8 }, (_, n) => Buffer.alloc(MIB, n + 1))))).toBe(true);
  expect(made.map((chunk) => chunk.length)).toEqual(Array.from({ length: 8 }, () => 0));
});

test('what others may look at too stays', async () => {
  const shared = Uint8Array.from({ length: 3 * MIB }, (_, i) => i * 7);
  const { body } = source((n) => (n === 3 ? undefined : shared.subarray(n * MIB, (n + 1) * MIB)));
  const { incoming } = await ask(body);
  expect((await readAll(incoming)).equals(shared)).toBe(true);
  expect(shared[MIB + 3]).toBe(((MIB + 3) * 7) & 255);
});

test('nothing is asked for ahead of a client that reads slowly, and he who leaves stops it', async () => {
  const one = source(() => new Uint8Array(MIB));
  const { incoming, sent } = await ask(one.body);
  incoming.pause();
  let before = -1;
  while (before !== one.made.length) {
    before = one.made.length;
    // oxlint-disable-next-line no-await-in-loop -- until the system's own buffers are full
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  expect(one.made.length).toBeLessThan(32);
  expect(one.cancelled).toBe(false);
  incoming.destroy();
  await sent;
  expect(one.cancelled).toBe(true);
  expect(one.made.length).toBeLessThan(32);
});

test('a body that fails cuts the connection', async () => {
  const { body } = source((n) => {
    if (n === 2) throw new Error('broken');
    return new Uint8Array(MIB);
  });
  const { incoming, sent } = await ask(body);
  await expect(readAll(incoming)).rejects.toMatchObject({ code: 'ECONNRESET' });
  await sent;
});

test('small chunks are not waited for one by one', async () => {
  const { body, made } = source((n) => (n === 1_000 ? undefined : Uint8Array.of(n & 255)));
  const { incoming } = await ask(body);
  const all = await readAll(incoming);
  expect(all.length).toBe(1_000);
  expect(made[999]?.[0]).toBe(all[999]);
});

test('what lies in memory goes out with its head in one call, its length declared, and stays what it is', async () => {
  const parts = [new Uint8Array(10).fill(1), forOneTaker(new Uint8Array(MIB).fill(2))];
  const body = new WholeBody(parts);
  const ends: unknown[] = [];
  body.onEnd((bytes, end) => ends.push([bytes, end]));
  let calls = 0;
  server = createServer((_, sink: ServerResponse) => {
    const socket = sink.socket as Socket & Record<'_writev' | '_write', (...args: never[]) => void>;
    for (const name of ['_writev', '_write'] as const) {
      const write = socket[name].bind(socket) as (...args: unknown[]) => void;
      Object.assign(socket, { [name]: (...args: unknown[]) => (calls++, write(...args)) });
    }
    void sendWhole(new Response(null), body, sink);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const outgoing = request({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', agent: false }).end();
  const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage];
  expect((await readAll(incoming)).equals(Buffer.concat(parts))).toBe(true);
  expect(incoming.headers['content-length']).toBe(String(MIB + 10));
  expect(incoming.headers['transfer-encoding']).toBeUndefined();
  expect(calls).toBe(1);
  expect(parts[1]?.length).toBe(MIB);
  expect(ends).toEqual([[MIB + 10, 'ended']]);
});

test('who leaves while what lies in memory is on its way is told of', async () => {
  const body = new WholeBody([new Uint8Array(64 * MIB)]);
  const end = new Promise<unknown>((resolve) => body.onEnd((bytes, how) => resolve([bytes, how])));
  server = createServer((_, sink: ServerResponse) => void sendWhole(new Response(null), body, sink));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const outgoing = request({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', agent: false }).end();
  outgoing.on('error', () => undefined);
  const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage];
  incoming.on('error', () => undefined).destroy();
  expect(await end).toEqual([64 * MIB, 'left']);
});
