/** What hotpack does not answer itself goes to upstream and back byte for byte. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { assertSound, readClone } from '../support/clones.ts';
import { git, gitSync, temporaryFolder, tryGit } from '../support/git.ts';
import { body, cut, FLUSH } from '../support/pkt-lines.ts';
import { getRefs, send } from '../support/raw-client.ts';
import { noise, revision, sha256Repository, subRepository } from '../support/repositories.ts';
import { fillMirror, openHouse, refsThrough, type House } from './house.ts';

let house: House;
const name = 'up/sub';

beforeEach(async () => {
  house = await openHouse({ sub: subRepository(), sha256: sha256Repository(), v0: subRepository() });
});
afterEach(() => house.close());

async function clone(repository = name): Promise<string> {
  const folder = join(temporaryFolder('pass'), 'clone');
  await git(['clone', '-q', house.hotpack.repository(repository), folder]);
  return folder;
}

describe('push', () => {
  test.each([
    ['small', 100],
    ['over http.postBuffer, with its probe and chunks', 3_000_000],
  ])('%s, and refs are checked anew afterwards', async (_, bytes) => {
    await house.hotpack.stop();
    await house.close();
    house = await openHouse({ sub: subRepository() }, { HOTPACK_REF_CHECK_INTERVAL: '1h' });
    await fillMirror(house, name);
    const work = await clone();
    writeFileSync(join(work, 'new.bin'), noise('push', bytes));
    await git(['add', '.'], { cwd: work });
    await git(['commit', '-q', '-m', 'pushed through hotpack'], { cwd: work });
    await git(['push', '-q', 'origin', 'HEAD:refs/heads/pushed'], { cwd: work });
    const tip = revision(work, 'HEAD');
    expect(revision(house.upstream.folder(name), 'refs/heads/pushed')).toBe(tip);
    expect((await refsThrough(house, name)).get('refs/heads/pushed')).toBe(tip);
    await git(['push', '-q', 'origin', '--delete', 'pushed'], { cwd: work });
    expect((await refsThrough(house, name)).has('refs/heads/pushed')).toBe(false);
  });

  test('a refused one shows upstream’s words', async () => {
    gitSync(['config', 'receive.denyDeletes', 'true'], { cwd: house.upstream.folder(name) });
    const work = await clone();
    const result = await tryGit(['push', 'origin', '--delete', 'main'], { cwd: work });
    expect(result.code).not.toBe(0);
    expect(result.stderr).toMatch(/deletion prohibited/);
  });
});

test('git-upload-archive', async () => {
  const request = body(['argument --format=tar', 'argument main', FLUSH]);
  const headers = { 'content-type': 'application/x-git-upload-archive-request' };
  const through = await send(`${house.hotpack.repository(name)}/git-upload-archive`, { body: request, headers });
  const straight = await send(`${house.upstream.url(name)}/git-upload-archive`, { body: request, headers });
  expect(through.status).toBe(200);
  const content = (bytes: Buffer): Buffer =>
    Buffer.concat(
      cut(bytes).packets.flatMap((one) =>
        one.kind === 'data' && one.payload[0] === 1 ? [one.payload.subarray(1)] : [],
      ),
    );
  expect(content(through.body).includes('sub.txt')).toBe(true);
  expect(content(through.body).equals(content(straight.body))).toBe(true);
});

test('LFS endpoints', async () => {
  const request = Buffer.from(JSON.stringify({ operation: 'download', objects: [{ oid: 'a'.repeat(64), size: 1 }] }));
  const headers = { 'content-type': 'application/vnd.git-lfs+json', accept: 'application/vnd.git-lfs+json' };
  const answer = await send(`${house.hotpack.repository(name)}/info/lfs/objects/batch`, { body: request, headers });
  expect(answer.status).toBe(200);
  expect(answer.headers['content-type']).toBe('application/vnd.git-lfs+json');
  expect((JSON.parse(answer.body.toString('utf8')) as { body: string }).body).toBe(request.toString('utf8'));
});

test('dumb HTTP', async () => {
  gitSync(['update-server-info'], { cwd: house.upstream.folder(name) });
  for (const file of ['info/refs', 'HEAD', 'objects/info/packs']) {
    const through = await send(`${house.hotpack.repository(name)}/${file}`);
    const straight = await send(`${house.upstream.url(name)}/${file}`);
    expect({ file, status: through.status, text: through.body.toString('utf8') }).toEqual({
      file,
      status: 200,
      text: straight.body.toString('utf8'),
    });
  }
  const folder = join(temporaryFolder('dumb'), 'clone');
  await git(['clone', '-q', house.hotpack.repository(name), folder], { env: { GIT_SMART_HTTP: '0' } });
  await assertSound(folder);
  expect(revision(folder, 'HEAD')).toBe(revision(house.upstream.folder(name), 'main'));
});

test.each([0, 1, 2] as const)('an upstream without v2, client with protocol %i', async (protocol) => {
  house.upstream.withoutV2('up/v0');
  const folder = join(temporaryFolder('v0'), 'clone');
  await git(['clone', '-q', '--depth=2', house.hotpack.repository('up/v0'), folder], { protocol });
  await assertSound(folder);
  expect((await readClone(folder)).shallow.length).toBe(1);
});

test('a SHA-256 repository', async () => {
  const folder = await clone('up/sha256');
  await assertSound(folder);
  expect(revision(folder, 'HEAD')).toBe(revision(house.upstream.folder('up/sha256'), 'main'));
  expect(revision(folder, 'HEAD')).toHaveLength(64);
});

describe('statuses', () => {
  test('401 with its challenge', async () => {
    house.upstream.when(
      { repository: name },
      { do: 'status', status: 401, headers: { 'WWW-Authenticate': 'Bearer realm="that host", scope="repo"' } },
    );
    const answer = await getRefs(house.hotpack.repository(name), 2);
    expect(answer.status).toBe(401);
    expect(answer.headers['www-authenticate']).toBe('Bearer realm="that host", scope="repo"');
  });

  test.each([403, 404])('%i', async (status) => {
    house.upstream.when({ repository: name }, { do: 'status', status, body: 'says upstream' });
    expect((await getRefs(house.hotpack.repository(name), 2)).status).toBe(status);
    expect((await send(`${house.hotpack.repository(name)}/info/refs?service=git-receive-pack`)).status).toBe(status);
  });

  test('429 with Retry-After', async () => {
    house.upstream.when({ repository: name }, { do: 'status', status: 429, headers: { 'Retry-After': '7' } });
    const answer = await getRefs(house.hotpack.repository(name), 2);
    expect(answer.status).toBe(429);
    expect(answer.headers['retry-after']).toBe('7');
  });

  test('404 for an upstream that is not configured', async () => {
    expect((await getRefs(`${house.hotpack.url}/git/elsewhere.example/a/b`, 2)).status).toBe(404);
  });
});

describe('redirects', () => {
  test.each([301, 302, 307, 308] as const)('%i to another path: the client stays with hotpack', async (status) => {
    house.upstream.when({ repository: 'up/moved' }, { do: 'redirect', status, to: '/up/sub.git' });
    const folder = await clone('up/moved');
    await assertSound(folder);
    expect(revision(folder, 'HEAD')).toBe(revision(house.upstream.folder(name), 'main'));
    const answer = await getRefs(house.hotpack.repository('up/moved'), 2);
    const location = answer.headers['location'];
    expect(
      location === undefined ||
        String(location).startsWith('/git/up/') ||
        String(location).startsWith(house.hotpack.url),
    ).toBe(true);
  });

  test('to a host that is not configured are not followed by hotpack', async () => {
    house.upstream.add('elsewhere/sub', subRepository());
    house.upstream.when({ repository: 'up/moved' }, { do: 'redirect', status: 302, to: '/elsewhere/sub.git' });
    const answer = await getRefs(house.hotpack.repository('up/moved'), 2);
    expect(answer.status).toBeGreaterThanOrEqual(300);
    expect(house.upstream.journal.select({ repository: 'elsewhere/sub' })).toEqual([]);
  });

  test('of a push go on with hotpack', async () => {
    house.upstream.when({ repository: 'up/moved' }, { do: 'redirect', status: 307, to: '/up/sub.git' });
    const work = await clone();
    await git(['commit', '-q', '--allow-empty', '-m', 'moved'], { cwd: work });
    await git(['push', '-q', house.hotpack.repository('up/moved'), 'HEAD:refs/heads/moved'], { cwd: work });
    expect(revision(house.upstream.folder(name), 'refs/heads/moved')).toBe(revision(work, 'HEAD'));
  });
});
