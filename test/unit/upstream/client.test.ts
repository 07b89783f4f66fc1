import type { ServerResponse } from 'node:http';
import { inspect } from 'node:util';
import { afterEach, expect, test } from 'vitest';
import { isHotpackError } from '../../../src/bytes/error.ts';
import { readAllStream } from '../../../src/bytes/streams.ts';
import type { Asking } from '../../../src/upstream/contract.ts';
import { Credential, credentialKey, credentialOfRequest, credentialOfToken } from '../../../src/upstream/credential.ts';
import { answerOfError, failureOf } from '../../../src/upstream/failure.ts';
import { createWorld, gitAnswer, REFS, type Seen, type World } from './support.ts';

const SECRET = 'hunter2-of-the-client';
const TOKEN = 'token-of-hotpack';
const client = new Credential([['Authorization', `Bearer ${SECRET}`]]);
const asClient: Asking = { credential: client };
const asNobody: Asking = { credential: undefined };
const own = `Basic ${btoa(`x-access-token:${TOKEN}`)}`;

let world: World;
afterEach(async () => {
  const said = world.lines.join('\n');
  for (const secret of [SECRET, TOKEN, btoa(`x-access-token:${TOKEN}`)]) {
    if (said.includes(secret)) throw new Error('a secret was logged');
  }
  await world.host.stop();
});

async function capabilities() {
  const probe = await world.upstream.probe(world.repository, { ...asClient, gitProtocol: 2 });
  if (probe.kind !== 'ok' || probe.transport.kind !== 'v2') throw new Error(`no v2: ${probe.kind}`);
  return probe.transport.capabilities;
}

test("access is asked with the client's credential, data with the token", async () => {
  world = await createWorld({ token: TOKEN });
  world.host.answer = gitAnswer;
  const query = { prefixes: ['refs/heads/'], capabilities: await capabilities() };
  const refs = await world.upstream.lsRefs(world.repository, query, asClient);
  expect(refs).toMatchObject({ kind: 'ok', refs: { head: { kind: 'symref', target: 'refs/heads/main' } } });
  const [get, post] = world.host.seen;
  expect(get?.url).toBe('/a/b/info/refs?service=git-upload-pack');
  expect(get?.headers).toMatchObject({
    authorization: `Bearer ${SECRET}`,
    'git-protocol': 'version=2',
    'accept-encoding': 'identity',
    'user-agent': expect.stringMatching(/^git\//),
  });
  expect(post?.headers).toMatchObject({ authorization: own, 'content-type': 'application/x-git-upload-pack-request' });
  expect(post?.body).toContain('command=ls-refs');
  expect(post?.body).toContain('ref-prefix refs/heads/\n');
  expect(await world.metrics.render()).toContain('hotpack_upstream_requests_total{operation="ls-refs",outcome="ok"} 1');
});

test('a token that may not see the repository is left out there for five minutes', async () => {
  world = await createWorld({ token: TOKEN });
  world.host.answer = (seen, response) => {
    if (seen.headers.authorization === own) response.writeHead(404).end();
    else gitAnswer(seen, response);
  };
  const ask = async () =>
    (await world.upstream.lsRefs(world.repository, { prefixes: [], capabilities: [] }, asClient)).kind;
  expect([await ask(), await ask()]).toEqual(['ok', 'ok']);
  const tried = () => world.host.seen.map((seen) => (seen.headers.authorization === own ? 'token' : 'client'));
  expect(tried()).toEqual(['token', 'client', 'client']);
  world.now += 300_001;
  await ask();
  expect(tried()).toEqual(['token', 'client', 'client', 'token', 'client']);
});

test.each([
  [401, { 'www-authenticate': 'Basic realm="x"' }, 'denied'],
  [403, {}, 'denied'],
  [404, {}, 'denied'],
  [410, {}, 'denied'],
  [429, { 'retry-after': '60' }, 'throttled'],
  [408, {}, 'unavailable'],
  [500, {}, 'unavailable'],
  [503, { 'retry-after': '60' }, 'unavailable'],
  [204, {}, 'unavailable'],
] as const)('a probe that is answered %d', async (status, headers, kind) => {
  world = await createWorld();
  world.host.answer = (_seen, response) =>
    void response.writeHead(status, headers).end(status === 204 ? '' : 'words\n');
  const probe = await world.upstream.probe(world.repository, { ...asNobody, gitProtocol: 2 });
  expect(probe.kind).toBe(kind);
  expect(probe).toMatchObject(status === 204 ? {} : { answer: { status } });
  const until = world.upstream.throttledUntilMs(world.repository.upstream, 'anonymous');
  expect(until).toBe(kind === 'denied' ? undefined : world.now + (status === 429 || status === 503 ? 60_000 : 5_000));
});

test('401 on a data request is throttling, with the challenge kept for the client', async () => {
  world = await createWorld();
  world.host.answer = (_seen, response) =>
    void response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end('no\n');
  const refs = await world.upstream.lsRefs(world.repository, { prefixes: [], capabilities: [] }, asNobody);
  if (refs.kind !== 'throttled') throw new Error(refs.kind);
  const error = failureOf(refs);
  expect(error.code).toBe('upstream_throttled');
  expect(answerOfError(error)?.headers).toContainEqual(['www-authenticate', 'Basic realm="x"']);
});

test.each([
  ['nothing comes', (): void => undefined],
  [
    'the answer stops',
    (_seen: Seen, response: ServerResponse): void =>
      void response.writeHead(200, { 'content-type': 'application/x-git-upload-pack-result' }).write(REFS.slice(0, 20)),
  ],
])('where %s within the limit it is a time-out', async (_what, answer) => {
  world = await createWorld({ lsRefsTimeoutMs: 60 });
  world.host.answer = answer;
  expect(await world.upstream.lsRefs(world.repository, { prefixes: [], capabilities: [] }, asNobody)).toMatchObject({
    kind: 'unavailable',
    reason: 'timeout',
  });
});

test('refused connections, cut answers and leaving clients are told apart', async () => {
  world = await createWorld();
  const query = { prefixes: [], capabilities: [] };
  world.host.answer = (_seen, response) => {
    response.writeHead(200, { 'content-type': 'application/x-git-upload-pack-result' }).end(REFS.slice(0, -4));
  };
  expect(await world.upstream.lsRefs(world.repository, query, asNobody)).toMatchObject({
    kind: 'unavailable',
    reason: 'network',
  });
  world.host.answer = (_seen, response) => {
    response.writeHead(200, { 'content-type': 'application/x-git-upload-pack-result' }).end('0013ERR go away now');
  };
  expect(await world.upstream.lsRefs(world.repository, query, asNobody)).toEqual({
    kind: 'refused',
    message: 'go away now',
  });
  const leaving = new AbortController();
  world.host.answer = () => leaving.abort();
  const left = world.upstream.lsRefs(world.repository, query, { ...asNobody, signal: leaving.signal });
  await expect(left).rejects.toSatisfy((error) => isHotpackError(error, 'aborted'));
  await world.host.stop();
  expect(await world.upstream.lsRefs(world.repository, query, asClient)).toMatchObject({
    kind: 'unavailable',
    reason: 'network',
  });
});

test('a kept connection that was closed before an answer costs one retry, and only one', async () => {
  world = await createWorld();
  let drops = 1;
  world.host.answer = (seen, response) => {
    if (drops-- > 0) response.socket?.destroy();
    else gitAnswer(seen, response);
  };
  const query = { prefixes: [], capabilities: [] };
  expect((await world.upstream.lsRefs(world.repository, query, asNobody)).kind).toBe('ok');
  expect(world.host.seen.length).toBe(2);
  expect(world.host.seen[1]?.body).toBe(world.host.seen[0]?.body);
  drops = 5;
  expect((await world.upstream.lsRefs(world.repository, query, asNobody)).kind).toBe('unavailable');
  expect(world.host.seen.length).toBe(4);
});

test('redirects are never followed', async () => {
  world = await createWorld();
  world.host.answer = (_seen, response) => void response.writeHead(302, { location: '/c/d/info/refs?x=1' }).end();
  const probe = () => world.upstream.probe(world.repository, { ...asClient, gitProtocol: 2 });
  expect(await probe()).toEqual({ kind: 'redirect', status: 302, location: '/git/up/c/d/info/refs?x=1' });
  world.host.answer = (_seen, response) => void response.writeHead(302, { location: 'http://127.0.0.1:1/x' }).end();
  expect(await probe()).toEqual({ kind: 'redirect', status: 302, location: undefined });
  expect(world.host.seen.length).toBe(2);
});

test('a fetch streams under one deadline', async () => {
  world = await createWorld({ cloneTimeoutMs: 80 });
  world.host.answer = (_seen, response) => void response.writeHead(200).write('0008NAK\n');
  const body = new TextEncoder().encode('0000');
  const answer = await world.upstream.fetch(world.repository, body, { ...asNobody, purpose: 'fill' });
  if (answer.kind !== 'ok') throw new Error(answer.kind);
  await expect(readAllStream(answer.body, 1_000)).rejects.toSatisfy((error) => isHotpackError(error, 'timeout'));
});

test('credentials do not print, and their keys need the secret of the process', () => {
  const secret = new Uint8Array(32).fill(7);
  for (const credential of [client, credentialOfToken(TOKEN), credentialOfToken(`user:${TOKEN}`)]) {
    const prints = [
      String(credential),
      JSON.stringify({ credential }),
      inspect(credential, { depth: 9, showHidden: true }),
    ];
    for (const print of prints) expect(print).not.toMatch(/hunter2|token-of|dG9rZW4/);
  }
  const same = credentialOfRequest(
    new Headers({ authorization: `Bearer ${SECRET}`, 'x-request-id': '1', accept: '*/*' }),
  );
  const other = credentialOfRequest(new Headers({ authorization: `Bearer ${SECRET}`, 'x-team': 'blue' }));
  expect(credentialKey(same, secret)).toBe(credentialKey(client, secret));
  expect(credentialKey(other, secret)).not.toBe(credentialKey(client, secret));
  expect(credentialKey(client, new Uint8Array(32))).not.toBe(credentialKey(client, secret));
  expect(credentialOfRequest(new Headers({ accept: '*/*', 'x-forwarded-for': '::1' }))).toBeUndefined();
});
