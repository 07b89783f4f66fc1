/**
 * A private repository that hotpack's own token can read. Who has no right of his own gets upstream's 401, on GET and
 * on POST, at every moment; nothing secret is written anywhere.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { git, temporaryFolder, tryGit } from '../support/git.ts';
import { getRefs, type RawAnswer } from '../support/raw-client.ts';
import { revision, richRepository } from '../support/repositories.ts';
import { fetchRaw, fillMirror, openHouse, outcomeOf, type House } from './house.ts';

const name = 'up/secret';
const basic = (user: string, password: string): string =>
  `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
const ALICE = basic('alice', 'alice-secret-5b1f');
const WRONG = basic('mallory', 'guess-77aa');
const OWN_TOKEN = 'own-token-9c2e';
// However hotpack presents its token toward a host, upstream accepts it.
const OWN = [
  basic('x-access-token', OWN_TOKEN),
  basic('hotpack', OWN_TOKEN),
  `Bearer ${OWN_TOKEN}`,
  `token ${OWN_TOKEN}`,
];

let house: House;

beforeEach(async () => {
  house = await openHouse(
    { secret: richRepository() },
    { HOTPACK_UPSTREAM_TOKENS: `up=hotpack:${OWN_TOKEN}`, HOTPACK_ACCESS_TTL: '1s', HOTPACK_ACCESS_DENY_TTL: '0' },
  );
  house.upstream.protect(name, ALICE, ...OWN);
});
afterEach(() => house.close());

function tip(): string {
  return revision(house.upstream.folder(name), 'main');
}

function withCredential(authorization: string | undefined): { readonly headers: Record<string, string> } {
  return { headers: authorization === undefined ? {} : { authorization } };
}

async function getAndPost(authorization: string | undefined): Promise<RawAnswer[]> {
  const options = withCredential(authorization);
  return [
    await getRefs(house.hotpack.repository(name), 2, options),
    await getRefs(house.hotpack.repository(name), 0, options),
    await fetchRaw(house, name, ['deepen 1', `want ${tip()}`], options),
  ];
}

/** `refused`, `allowed`, or what else the three answers were. */
async function verdict(authorization: string | undefined): Promise<string> {
  const answers = await getAndPost(authorization);
  const isRefusal = (answer: RawAnswer): boolean =>
    answer.status === 401 &&
    answer.headers['www-authenticate'] === 'Basic realm="upstream"' &&
    !answer.body.includes(tip()) &&
    !answer.body.includes('PACK');
  if (answers.every(isRefusal)) return 'refused';
  if (answers.every((answer) => answer.status === 200)) return 'allowed';
  return answers.map((answer) => `${answer.status} ${String(answer.headers['www-authenticate'])}`).join(', ');
}

/** `who` may not read at any of the moments; in between Alice fills the mirror. */
async function everyMoment(who: string | undefined): Promise<Record<string, string>> {
  const verdicts: Record<string, string> = { before: await verdict(who) };
  const held = house.upstream.when({ repository: name, kind: 'fetch' }, { do: 'stall', afterBytes: 100_000 }, 1);
  const filling = fillMirror(house, name, ALICE);
  await held.arrived();
  verdicts['during'] = await verdict(who);
  held.release();
  await filling;
  verdicts['warm'] = await verdict(who);
  verdicts['alice'] = await verdict(ALICE);
  verdicts['after alice'] = await verdict(who);
  await house.hotpack.restart();
  verdicts['restarted'] = await verdict(who);
  verdicts['alice, restarted'] = await verdict(ALICE);
  return verdicts;
}

test.each([
  ['no credential', undefined],
  ['a wrong credential', WRONG],
])('%s: 401 before, during and after another’s fill, warm, and after a restart', async (_, who) => {
  expect(await everyMoment(who)).toEqual({
    before: 'refused',
    during: 'refused',
    warm: 'refused',
    alice: 'allowed',
    'after alice': 'refused',
    restarted: 'refused',
    'alice, restarted': 'allowed',
  });
});

test('a revoked credential gets 401 after its TTL, warm and after a restart', async () => {
  const BOB = basic('bob', 'bob-secret-19d4');
  house.upstream.protect(name, ALICE, BOB, ...OWN);
  await fillMirror(house, name, BOB);
  expect(await verdict(BOB)).toBe('allowed');
  house.upstream.revoke(name, BOB);
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  expect(await verdict(BOB)).toBe('refused');
  expect(await verdict(ALICE)).toBe('allowed');
  expect(await verdict(BOB)).toBe('refused');
  await house.hotpack.restart();
  expect(await verdict(BOB)).toBe('refused');
});

test('a repository that turns private ends public access', async () => {
  house.upstream.unprotect(name);
  await fillMirror(house, name);
  house.upstream.protect(name, ALICE, ...OWN);
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  expect(await verdict(undefined)).toBe('refused');
  expect(await verdict(ALICE)).toBe('allowed');
});

test('git with a credential in the URL clones, git without one does not', async () => {
  const folder = temporaryFolder('access');
  const url = house.hotpack.repository(name);
  await git(['clone', '-q', url.replace('http://', 'http://alice:alice-secret-5b1f@'), join(folder, 'allowed')]);
  expect(revision(join(folder, 'allowed'), 'HEAD')).toBe(tip());
  const refused = await tryGit(['clone', '-q', url, join(folder, 'refused')]);
  expect(refused.code).not.toBe(0);
  expect(refused.stderr).toMatch(/could not read|Authentication failed|terminal prompts disabled/i);
});

describe('hotpack’s own token', () => {
  test('goes with no push and no unknown path', async () => {
    await tryGit(['push', '-q', house.hotpack.repository(name), 'HEAD:refs/heads/x'], {
      cwd: house.upstream.folder(name),
    });
    await getRefs(house.hotpack.repository(name), 2);
    const own = house.upstream.journal.entries.filter((entry) => OWN.includes(entry.authorization ?? ''));
    expect(
      own.filter((entry) => entry.kind !== 'advertisement' && entry.kind !== 'ls-refs' && entry.kind !== 'fetch'),
    ).toEqual([]);
    expect(house.upstream.journal.select({ repository: name, kind: 'push-advertisement' }).length).toBeGreaterThan(0);
  });

  test('never decides who may read: nothing is asked with it for one who may not', async () => {
    expect(await verdict(WRONG)).toBe('refused');
    expect(house.upstream.journal.entries.filter((entry) => OWN.includes(entry.authorization ?? ''))).toEqual([]);
  });
});

test('a credential does not follow a redirect to another host', async () => {
  house.upstream.add('elsewhere/secret', richRepository());
  house.upstream.when({ repository: name }, { do: 'redirect', status: 302, to: '/elsewhere/secret.git' });
  await getRefs(house.hotpack.repository(name), 2, withCredential(ALICE));
  expect(
    house.upstream.journal
      .select({ repository: 'elsewhere/secret' })
      .filter((entry) => entry.authorization !== undefined),
  ).toEqual([]);
});

test('nothing secret in logs, metrics or any file', async () => {
  expect(await verdict(WRONG)).toBe('refused');
  await fillMirror(house, name, ALICE);
  expect(await verdict(ALICE)).toBe('allowed');
  expect(outcomeOf(await fetchRaw(house, name, [`want ${tip()}`], withCredential(ALICE))).status).toBe(200);
  const metrics = await house.hotpack.metrics();
  await house.hotpack.stop();
  const secrets = [
    'alice-secret-5b1f',
    'guess-77aa',
    OWN_TOKEN,
    ALICE.slice(6),
    WRONG.slice(6),
    ...OWN.map((one) => one.slice(one.indexOf(' ') + 1)),
  ];
  const places: [string, string][] = [
    ['standard error', house.hotpack.stderr],
    ['standard output', house.hotpack.stdout],
    ['metrics', metrics],
  ];
  for (const path of readdirSync(house.hotpack.folder, { recursive: true, encoding: 'utf8' })) {
    const file = join(house.hotpack.folder, path);
    places.push([`name ${path}`, path]);
    if (statSync(file).isFile()) places.push([path, readFileSync(file).toString('latin1')]);
  }
  expect(places.length).toBeGreaterThan(5);
  const found = places.flatMap(([place, text]) =>
    secrets.filter((secret) => text.includes(secret)).map((secret) => `${place}: ${secret}`),
  );
  expect(found).toEqual([]);
});
