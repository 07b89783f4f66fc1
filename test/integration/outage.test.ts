/** Upstream gives no answer: what is here is served for as long as it may be, and says so; beyond that 503. */
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { assertSound } from '../support/clones.ts';
import { git, temporaryFolder, tryGit } from '../support/git.ts';
import { getRefs } from '../support/raw-client.ts';
import { commitUpstream, revision, richRepository } from '../support/repositories.ts';
import { fillMirror, openHouse, refsThrough, type House } from './house.ts';

const name = 'up/rich';
let house: House;
afterEach(() => house.close());

async function open(env: Readonly<Record<string, string>>): Promise<void> {
  house = await openHouse(
    { rich: richRepository() },
    { HOTPACK_LS_REFS_TIMEOUT: '1s', HOTPACK_ACCESS_TTL: '0', ...env },
  );
  await fillMirror(house, name);
}

/** The ways in which an upstream gives no answer. */
const outages: readonly (readonly [string, () => Promise<void>])[] = [
  ['refuses connections', () => house.upstream.stop()],
  ['hangs', () => Promise.resolve(void house.upstream.when({}, { do: 'hold', stage: 'request' }))],
  ['answers 503', () => Promise.resolve(void house.upstream.when({}, { do: 'status', status: 503 }))],
  ['answers 500', () => Promise.resolve(void house.upstream.when({}, { do: 'status', status: 500 }))],
  ['answers 429', () => Promise.resolve(void house.upstream.when({}, { do: 'status', status: 429 }))],
];

describe.each(outages)('upstream %s', (what, begin) => {
  test.each([0, 2] as const)('a clone comes from the mirror and says so, protocol %i', async (protocol) => {
    await open({});
    await begin();
    const clone = join(temporaryFolder('outage'), 'clone');
    const result = await tryGit(['clone', '--progress', house.hotpack.repository(name), clone], { protocol });
    expect(result).toMatchObject({ code: 0 });
    expect(result.stderr).toMatch(/^remote: .*(upstream|stale)/im);
    await assertSound(clone);
    expect(revision(clone, 'HEAD')).toBe(revision(house.upstream.folder(name), 'main'));
  });

  test('beyond stale-if-error: 503, or the 429 that upstream said', async () => {
    await open({ HOTPACK_STALE_IF_ERROR: '0' });
    await begin();
    const expected = what === 'answers 429' ? 429 : 503;
    expect((await getRefs(house.hotpack.repository(name), 2)).status).toBe(expected);
    expect((await getRefs(house.hotpack.repository(name), 0)).status).toBe(expected);
  });
});

test('a client that was never allowed gets 503, not the mirror of a private repository', async () => {
  const basic = (pair: string): string => `Basic ${Buffer.from(pair).toString('base64')}`;
  const status = async (authorization: string): Promise<number> =>
    (await getRefs(house.hotpack.repository(name), 2, { headers: { authorization } })).status;
  house = await openHouse({ rich: richRepository() });
  house.upstream.protect(name, basic('alice:secret'));
  await fillMirror(house, name, basic('alice:secret'));
  await house.upstream.stop();
  expect(await status(basic('new:comer'))).toBe(503);
  expect((await getRefs(house.hotpack.repository(name), 2)).status).not.toBe(200);
  expect(await status(basic('alice:secret'))).toBe(200);
});

test('what clients see in an outage is what is held, and what upstream says once it is back', async () => {
  await open({});
  const old = revision(house.upstream.folder(name), 'main');
  await house.upstream.stop();
  const tip = commitUpstream(house.upstream.folder(name));
  expect((await refsThrough(house, name)).get('refs/heads/main')).toBe(old);
  await house.upstream.start();
  expect((await refsThrough(house, name)).get('refs/heads/main')).toBe(tip);
  const clone = join(temporaryFolder('outage'), 'clone');
  await git(['clone', '-q', house.hotpack.repository(name), clone]);
  expect(revision(clone, 'HEAD')).toBe(tip);
});

test('upstream’s no during an outage of others is a no', async () => {
  await open({});
  house.upstream.when({ repository: name }, { do: 'status', status: 404 });
  expect((await getRefs(house.hotpack.repository(name), 2)).status).toBe(404);
});
