/** Malformed and malicious requests and upstreams: a clear error, and the server goes on serving. */
import { connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { body, DELIMITER, FLUSH, packet } from '../support/pkt-lines.ts';
import { getRefs, postUploadPack, readFetchAnswer, send } from '../support/raw-client.ts';
import { revision, richRepository, subRepository } from '../support/repositories.ts';
import { fetchRaw, fillMirror, openHouse, outcomeOf, type House } from './house.ts';

const name = 'up/rich';
let house: House;
beforeAll(async () => {
  house = await openHouse({ rich: richRepository(), spoiled: subRepository() }, { HOTPACK_MAX_REQUEST_BYTES: '1MiB' });
  await fillMirror(house, name);
});
afterAll(() => house.close());

function tip(): string {
  return revision(house.upstream.folder(name), 'main');
}

async function stillServes(): Promise<boolean> {
  const answer = await fetchRaw(house, name, ['deepen 1', `want ${tip()}`]);
  return outcomeOf(answer).objects > 0;
}

const v2 = (...lines: string[]): Buffer => body(['command=fetch', 'object-format=sha1', DELIMITER, ...lines, FLUSH]);
const zeros = '0'.repeat(40);

const malformed: readonly (readonly [string, () => Buffer])[] = [
  ['nothing', () => Buffer.alloc(0)],
  ['text', () => Buffer.from('hello, git')],
  ['a length that is no hex', () => Buffer.from('zzzzwant')],
  ['a length of 3', () => Buffer.from('0003')],
  ['a length beyond the body', () => Buffer.from('ffffwant')],
  ['a length above the protocol’s maximum', () => Buffer.concat([Buffer.from('fff5'), Buffer.alloc(65_525, 0x61)])],
  [
    'no flush at the end',
    () => Buffer.concat([packet('command=fetch\n'), Buffer.from(DELIMITER), packet(`want ${tip()}\n`)]),
  ],
  ['two delimiters', () => body(['command=fetch', DELIMITER, DELIMITER, `want ${tip()}`, FLUSH])],
  ['an unknown command', () => body(['command=explode', DELIMITER, FLUSH])],
  ['a want that is no hash', () => v2('want main', 'done')],
  ['a want of 41 digits', () => v2(`want ${zeros}0`, 'done')],
  ['a have that is no hash', () => v2(`want ${tip()}`, 'have ../../etc/passwd', 'done')],
  ['a negative depth', () => v2(`want ${tip()}`, 'deepen -1', 'done')],
  ['a depth that is no number', () => v2(`want ${tip()}`, 'deepen all', 'done')],
  ['an unknown filter', () => v2(`want ${tip()}`, 'filter nonsense:1', 'done')],
  ['a filter nested without end', () => v2(`want ${tip()}`, `filter ${'combine:'.repeat(300)}nonsense`, 'done')],
  [
    'another object format',
    () => body(['command=fetch', 'object-format=sha256', DELIMITER, `want ${'0'.repeat(64)}`, 'done', FLUSH]),
  ],
  ['an unknown argument', () => v2('explode now', `want ${tip()}`, 'done')],
  ['zero bytes in lines', () => v2(`want ${tip()}\0evil`, 'done')],
];

describe('bodies', () => {
  test.each(malformed)('%s', async (_, make) => {
    const answer = await postUploadPack(house.hotpack.repository(name), 2, make());
    const isErrorPacket = answer.status === 200 && readFetchAnswer(answer.body, 'side-band').error !== undefined;
    const isRefused = isErrorPacket || (answer.status >= 400 && answer.status < 500);
    // What hotpack does not understand it passes through: git itself says nothing at all to some of these.
    const straight = isRefused ? answer : await postUploadPack(house.upstream.url(name), 2, make());
    expect({ status: answer.status, body: answer.body.toString('latin1') }).toEqual({
      status: straight.status,
      body: straight.body.toString('latin1'),
    });
    expect(answer.body.includes('PACK')).toBe(false);
    expect(await stillServes()).toBe(true);
  });

  test.each([
    ['gzip that is none', Buffer.from('not gzip at all'), 400],
    ['gzip cut in the middle', gzipSync(Buffer.alloc(10_000, '0032want ')).subarray(0, 30), 400],
    ['a gzip bomb', gzipSync(Buffer.alloc(64 << 20, '0032want ')), 413],
  ] as const)('%s', async (_, content, status) => {
    const answer = await postUploadPack(house.hotpack.repository(name), 2, content, {
      headers: { 'content-encoding': 'gzip' },
    });
    expect(answer.status).toBe(status);
    expect(await stillServes()).toBe(true);
  });

  test('more than the limit', async () => {
    const haves = Array.from({ length: 40_000 }, (_, n) => `have ${n.toString(16).padStart(40, '0')}`);
    const answer = await postUploadPack(house.hotpack.repository(name), 2, v2(`want ${tip()}`, ...haves, 'done')).catch(
      () => undefined,
    );
    expect(answer === undefined || answer.status === 413).toBe(true);
    expect(await stillServes()).toBe(true);
  });

  test('the wrong content type', async () => {
    const answer = await send(`${house.hotpack.repository(name)}/git-upload-pack`, {
      body: v2(`want ${tip()}`, 'done'),
      headers: { 'content-type': 'text/plain', 'git-protocol': 'version=2' },
    });
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(answer.status).toBeLessThan(500);
  });
});

describe('paths', () => {
  test.each([
    '/git/up/../../etc/passwd/info/refs?service=git-upload-pack',
    '/git/up/%2e%2e/%2e%2e/etc/passwd/info/refs?service=git-upload-pack',
    '/git/up/..%2f..%2fstore/info/refs?service=git-upload-pack',
    '/git/up/a%00b/info/refs?service=git-upload-pack',
    '/git/up//info/refs?service=git-upload-pack',
    '/git/up/%zz/info/refs?service=git-upload-pack',
  ])('%s', async (path) => {
    const url = new URL(house.hotpack.url);
    const status = await new Promise<number>((resolve, reject) => {
      const socket = connect(Number(url.port), url.hostname, () =>
        socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`),
      );
      let text = '';
      socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
      socket.on('close', () => resolve(Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? 0)));
      socket.on('error', reject);
    });
    expect(status).toBeGreaterThanOrEqual(400);
    expect(status).toBeLessThan(500);
  });

  test('a method that is none of git’s', async () => {
    const answer = await send(`${house.hotpack.repository(name)}/git-upload-pack`, { method: 'DELETE' });
    expect(answer.status).toBe(405);
  });
});

test('a slow client’s body ends nobody else’s service', async () => {
  const url = new URL(house.hotpack.url);
  const sockets = Array.from({ length: 50 }, () => {
    const socket = connect(Number(url.port), url.hostname, () =>
      socket.write(
        `POST /git/${name}.git/git-upload-pack HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-git-upload-pack-request\r\nGit-Protocol: version=2\r\nContent-Length: 500\r\n\r\n0011comm`,
      ),
    );
    socket.on('error', () => undefined);
    return socket;
  });
  try {
    await Promise.all(
      sockets.map(
        (socket) =>
          new Promise((resolve) => (socket.connecting ? socket.once('connect', resolve) : resolve(undefined))),
      ),
    );
    expect(await stillServes()).toBe(true);
  } finally {
    for (const socket of sockets) socket.destroy();
  }
});

describe('upstream’s answers', () => {
  const spoils: readonly (readonly [string, (bytes: Buffer) => Buffer])[] = [
    ['a pack cut in the middle', (bytes) => bytes.subarray(0, bytes.length - 300)],
    ['a pack with a wrong trailer', (bytes) => flip(bytes, bytes.length - 9)],
    ['a pack with a spoiled entry', (bytes) => flip(bytes, bytes.indexOf('PACK') + 80)],
    ['a pack that counts four billion objects', (bytes) => count(bytes, 0xffffffff)],
    ['no pkt-lines', () => Buffer.from('<html>maintenance</html>')],
    ['nothing', () => Buffer.alloc(0)],
  ];

  test.each(spoils)('%s', async (what, spoil) => {
    const repository = `up/spoiled-${what.replaceAll(' ', '-')}`;
    house.upstream.alias(repository, 'up/spoiled');
    const rule = house.upstream.when({ repository, kind: 'fetch' }, { do: 'spoil', spoil });
    const want = revision(house.upstream.folder(repository), 'main');
    await fetchRaw(house, repository, [`want ${want}`]).catch(() => undefined);
    await rule.arrived();
    rule.remove();
    expect(await stillServes()).toBe(true);
    const good = await fetchRaw(house, repository, [`want ${want}`]);
    expect(outcomeOf(good)).toEqual({ status: 200, objects: 15, error: undefined });
  });

  test('refs that are no refs', async () => {
    const rule = house.upstream.when(
      { repository: 'up/spoiled', kind: 'ls-refs' },
      { do: 'spoil', spoil: () => body(['nonsense', `${zeros} ../../evil`, FLUSH]) },
    );
    const request = body(['command=ls-refs', 'object-format=sha1', DELIMITER, 'peel', FLUSH]);
    const answer = await postUploadPack(house.hotpack.repository('up/spoiled'), 2, request);
    rule.remove();
    expect(answer.body.includes('evil')).toBe(false);
    expect((await getRefs(house.hotpack.repository('up/spoiled'), 0)).status).toBe(200);
  });
});

function flip(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ 0x10;
  return copy;
}

function count(bytes: Buffer, objects: number): Buffer {
  const copy = Buffer.from(bytes);
  copy.writeUInt32BE(objects, copy.indexOf('PACK') + 8);
  return copy;
}
