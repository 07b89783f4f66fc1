import { afterEach, expect, test } from 'vitest';
import { createAccess, type AccessOptions } from '../../../src/access/gate.ts';
import type { Access } from '../../../src/access/contract.ts';
import { isHotpackError } from '../../../src/bytes/error.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { Credential } from '../../../src/upstream/credential.ts';
import type { GitProtocol } from '../../../src/upstream/contract.ts';
import { createWorld, gitAnswer, type Answer, type World } from '../upstream/support.ts';

const RIGHT = 'Bearer right-hand';
const right = new Credential([['authorization', RIGHT]]);
const wrong = new Credential([['authorization', 'Bearer wrong-hand']]);

let world: World;
afterEach(async () => {
  if (/right-hand|wrong-hand|of-hotpack/.test(world.lines.join('\n'))) throw new Error('a secret was logged');
  await world.host.stop();
});

const privately: Answer = (seen, response) => {
  if (seen.headers.authorization === RIGHT) gitAnswer(seen, response);
  else response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end('no\n');
};
const broken: Answer = (_seen, response) => void response.writeHead(500).end('broken\n');

async function gate(options: AccessOptions = {}, answer: Answer = gitAnswer) {
  world = await createWorld({ token: 'token-of-hotpack' });
  world.host.answer = answer;
  const changes: string[] = [];
  const logger = createLogger({
    sink: (line) => world.lines.push(line),
    level: 'debug',
    now: () => world.now,
    secrets: [],
  });
  const access = createAccess(
    {
      upstream: world.upstream,
      now: () => world.now,
      secret: new Uint8Array(32).fill(1),
      metrics: world.metrics,
      logger,
      onVisibility: (repository, visibility) => changes.push(`${repository.name} ${visibility}`),
    },
    options,
  );
  return { access, changes };
}

const check = (access: Access, credential?: Credential, gitProtocol: GitProtocol = 2, signal?: AbortSignal) =>
  access.check(world.repository, credential, { gitProtocol, signal });
const asked = (): number => world.host.seen.length;

test('a public yes is asked for once a minute and lets every credential in', async () => {
  const { access } = await gate();
  expect(await check(access)).toMatchObject({
    kind: 'granted',
    visibility: 'public',
    stale: false,
    confirmedAtMs: world.now,
  });
  world.now += 59_999;
  expect((await check(access, wrong)).kind).toBe('granted');
  expect(asked()).toBe(1);
  world.now += 1;
  await check(access);
  expect(asked()).toBe(2);
  expect(world.host.seen.every((seen) => seen.headers.authorization === undefined)).toBe(true);
});

test("a private repository: each credential by itself, hotpack's token never", async () => {
  const { access } = await gate({}, privately);
  expect(await check(access, right)).toMatchObject({ kind: 'granted', visibility: 'private' });
  expect(await check(access, wrong)).toMatchObject({ kind: 'denied', answer: { status: 401 } });
  const nobody = await check(access);
  const challenge = expect.arrayContaining([['www-authenticate', 'Basic realm="x"']]) as unknown;
  expect(nobody).toMatchObject({ kind: 'denied', answer: { status: 401, headers: challenge } });
  expect(asked()).toBe(3);
  expect(world.host.seen.map((seen) => seen.headers.authorization)).toEqual([RIGHT, 'Bearer wrong-hand', undefined]);
  expect((await check(access, right)).kind).toBe('granted');
  expect(asked()).toBe(3);
});

test('a revoked credential is out when its minute is over; a no is repeated for five seconds', async () => {
  const { access } = await gate({}, privately);
  await check(access, right);
  world.host.answer = (_seen, response) => void response.writeHead(401).end();
  expect((await check(access, right)).kind).toBe('granted');
  world.now += 60_000;
  expect((await check(access, right)).kind).toBe('denied');
  world.host.answer = privately;
  world.now += 4_999;
  expect((await check(access, right)).kind).toBe('denied');
  world.now += 1;
  expect((await check(access, right)).kind).toBe('granted');
});

test('with 0 every request asks', async () => {
  const { access } = await gate({ ttlMs: 0, denyTtlMs: 0 });
  await check(access);
  await check(access);
  expect(asked()).toBe(2);
  world.host.answer = privately;
  expect((await check(access)).kind).toBe('denied');
  expect((await check(access)).kind).toBe('denied');
  expect(asked()).toBe(4);
});

test('without an answer the last yes holds for its limit, and a no never turns into one', async () => {
  const { access } = await gate({ ttlMs: 1_000, staleIfErrorMs: 10_000 }, privately);
  await check(access, right);
  world.host.answer = broken;
  world.now += 9_999;
  expect(await check(access, right)).toMatchObject({ kind: 'granted', stale: true, confirmedAtMs: 1_000_000 });
  expect(await check(access, wrong)).toMatchObject({ kind: 'unavailable', answer: { status: 500 } });
  expect((await check(access)).kind).toBe('unavailable');
  world.now += 1;
  expect((await check(access, right)).kind).toBe('unavailable');
  world.host.answer = (_seen, response) => void response.writeHead(403).end();
  expect((await check(access, right)).kind).toBe('denied');
  world.host.answer = broken;
  world.now += 6_000;
  expect((await check(access, right)).kind).toBe('unavailable');
});

test('a stale limit of 0, and a stopped host', async () => {
  const { access } = await gate({ ttlMs: 1_000, staleIfErrorMs: 0 });
  await check(access);
  await world.host.stop();
  world.now += 1_000;
  expect(await check(access)).toMatchObject({ kind: 'unavailable' });
});

test('public access ends with the first no to nobody, and is told', async () => {
  const { access, changes } = await gate({ ttlMs: 1_000 });
  await check(access);
  world.host.answer = privately;
  world.now += 1_000;
  expect((await check(access)).kind).toBe('denied');
  expect((await check(access, wrong)).kind).toBe('denied');
  expect(changes).toEqual(['up/a/b private']);
  world.now += 5_000;
  world.host.answer = gitAnswer;
  await check(access);
  expect(changes).toEqual(['up/a/b private', 'up/a/b public']);
});

test('a page that is no git answer makes nothing public', async () => {
  const login: Answer = (seen, response) => {
    if (seen.headers.authorization === RIGHT) gitAnswer(seen, response);
    else response.writeHead(200, { 'content-type': 'text/html' }).end('<form>log in</form>');
  };
  const { access } = await gate({}, login);
  await check(access, right);
  expect(await check(access)).toMatchObject({ kind: 'granted', visibility: 'private', facts: { proxyOnly: true } });
  expect(await check(access, wrong)).toMatchObject({ kind: 'granted', facts: { proxyOnly: true } });
  expect(await check(access, right)).toMatchObject({ kind: 'granted', facts: { proxyOnly: false } });
});

test('a v0 client learns what v0 says, and v2 is asked for once', async () => {
  const { access } = await gate({ ttlMs: 1_000 });
  const first = await check(access, undefined, 0);
  expect(first).toMatchObject({
    kind: 'granted',
    facts: { proxyOnly: false },
    advertised: { refs: { head: { kind: 'symref', target: 'refs/heads/main' } }, sentAtMs: world.now },
  });
  if (first.kind !== 'granted') return;
  expect(first.facts.v2Capabilities).toContainEqual({ name: 'fetch', value: 'shallow filter' });
  expect(first.facts.v0Capabilities).toContainEqual({ name: 'multi_ack' });
  expect(world.host.seen.map((seen) => seen.headers['git-protocol'])).toEqual([undefined, 'version=2']);
  world.now += 1_000;
  await check(access, undefined, 1);
  expect(asked()).toBe(3);
  const v2 = await check(access, undefined, 2);
  const listed = expect.arrayContaining([{ name: 'multi_ack' }]) as unknown;
  expect(v2).toMatchObject({ kind: 'granted', facts: { v0Capabilities: listed } });
  expect(asked()).toBe(3);
});

/** Holds every answer until released; `arrived(n)` waits for the n-th. */
function held(inner: Answer = gitAnswer) {
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => (release = resolve));
  const answer: Answer = async (seen, response) => {
    await released;
    await inner(seen, response);
  };
  const arrived = async (count: number): Promise<void> => {
    while (asked() < count) await new Promise((resolve) => setTimeout(resolve, 2));
  };
  return { answer, release, arrived };
}

test('equal checks at the same time share one request, others do not', async () => {
  const hold = held(privately);
  const { access } = await gate({}, hold.answer);
  const many = [check(access, right), check(access, right), check(access, wrong)];
  await hold.arrived(2);
  many.push(check(access, right));
  hold.release();
  expect((await Promise.all(many)).map((decision) => decision.kind)).toEqual([
    'granted',
    'granted',
    'denied',
    'granted',
  ]);
  expect(asked()).toBe(2);
});

test('with 0, whoever arrives while a check runs waits for the next one, together', async () => {
  const hold = held();
  const { access } = await gate({ ttlMs: 0, denyTtlMs: 0 }, hold.answer);
  const first = check(access);
  await hold.arrived(1);
  const late = [check(access), check(access), check(access)];
  world.host.answer = privately;
  hold.release();
  expect((await first).kind).toBe('granted');
  expect((await Promise.all(late)).map((decision) => decision.kind)).toEqual(['denied', 'denied', 'denied']);
  expect(asked()).toBe(2);
});

test('who leaves takes nobody along; when all have left the request ends', async () => {
  const hold = held();
  const { access } = await gate({}, hold.answer);
  const [one, two] = [new AbortController(), new AbortController()];
  const first = check(access, undefined, 2, one.signal);
  const second = check(access, undefined, 2, two.signal);
  await hold.arrived(1);
  one.abort();
  await expect(first).rejects.toSatisfy((error) => isHotpackError(error, 'aborted'));
  hold.release();
  expect((await second).kind).toBe('granted');
  expect(asked()).toBe(1);
});

test('a no that was asked for earlier is not taken over where no is not kept', async () => {
  const hold = held((_seen, response) => void response.writeHead(404).end());
  const { access } = await gate({ denyTtlMs: 0 }, hold.answer);
  const first = check(access);
  await hold.arrived(1);
  const late = check(access);
  world.host.answer = gitAnswer;
  hold.release();
  expect((await first).kind).toBe('denied');
  expect((await late).kind).toBe('granted');
  expect(asked()).toBe(2);
});

test('a no is kept no longer than a yes would be', async () => {
  const { access } = await gate({ ttlMs: 0 }, privately);
  expect((await check(access, wrong)).kind).toBe('denied');
  expect((await check(access, wrong)).kind).toBe('denied');
  expect(asked()).toBe(2);
});
