/** The contract of `Kv` over what it is used with: folders, memory, unstorage's own drivers, a real Redis. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { createServer } from 'node:net';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import unstorageFs from 'unstorage/drivers/fs';
import unstorageMemory from 'unstorage/drivers/memory';
import { openFsStorage } from '../../../src/storage/drivers/fs.ts';
import { createMemoryStorage } from '../../../src/storage/drivers/memory.ts';
import { openRedisKv } from '../../../src/storage/drivers/redis-kv.ts';
import type { Kv } from '../../../src/storage/kv/contract.ts';
import { createKv, type KvDriver } from '../../../src/storage/kv/driver-kv.ts';
import { temporaryFolder } from '../../support/git.ts';

async function keysOf(kv: Kv, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const key of kv.list(prefix)) keys.push(key);
  return keys.toSorted();
}

function describeKv(name: string, open: () => Promise<Kv>): void {
  describe(`Kv: ${name}`, () => {
    test('text comes back as it was, whatever it looks like', async () => {
      const kv = await open();
      for (const text of ['1e5', 'true', '', '{"a":1}', 'null', 'base64:AAAA', 'ünï🎉\n', 'x'.repeat(48 * 1024)]) {
        await kv.set('a:text', text);
        expect(await kv.get('a:text')).toEqual({ kind: 'found', text });
      }
      await kv.close();
    });

    test('what is absent is absent, is not made by asking, and is deleted without an error', async () => {
      const kv = await open();
      await kv.set('b:one', '1');
      const before = await keysOf(kv, '');
      expect(await kv.get('b:two')).toEqual({ kind: 'absent' });
      expect(await kv.get('b:one-more')).toEqual({ kind: 'absent' });
      expect(await keysOf(kv, 'nothing:')).toEqual([]);
      await kv.delete('b:two');
      expect(await keysOf(kv, '')).toEqual(before);
      await kv.delete('b:one');
      expect(await kv.get('b:one')).toEqual({ kind: 'absent' });
      await kv.close();
    });

    test('a list shows each key below its prefix once, and others’ not', async () => {
      const kv = await open();
      const keys = Array.from({ length: 1_200 }, (_, n) => `c:list:${n % 7}:${n}`);
      for (const key of [...keys, 'c:lists:1', 'c:lis', 'd:list:1']) await kv.set(key, 'x');
      expect(await keysOf(kv, 'c:list:')).toEqual(keys.toSorted());
      expect((await keysOf(kv, 'c:list:3:')).every((key) => key.startsWith('c:list:3:'))).toBe(true);
      expect((await keysOf(kv, 'c:')).length).toBe(1_202);
      await kv.close();
    });

    test('keys that some store could take for others are refused, and a closed store rejects', async () => {
      const kv = await open();
      for (const key of ['', 'a::b', 'A', 'a/b', 'a?b', 'a$', '..', 'a*', `a${'b'.repeat(250)}`]) {
        await expect(kv.set(key, 'x')).rejects.toMatchObject({ code: 'invalid_argument' });
        await expect(kv.get(key)).rejects.toMatchObject({ code: 'invalid_argument' });
      }
      await expect(keysOf(kv, 'a')).rejects.toMatchObject({ code: 'invalid_argument' });
      await expect(kv.get('a', AbortSignal.abort())).rejects.toMatchObject({ code: 'aborted' });
      await kv.close();
      await expect(kv.get('a')).rejects.toMatchObject({ code: 'storage_unavailable' });
    });
  });
}

describeKv('a folder', async () => createKv(await openFsStorage({ folder: temporaryFolder('kv') })));
describeKv('inside a store', async () => createKv(createMemoryStorage(), { base: 'kv' }));
describeKv("unstorage's memory", () => Promise.resolve(createKv(unstorageMemory(undefined))));
describeKv("unstorage's folder", () => Promise.resolve(createKv(unstorageFs({ base: temporaryFolder('kv') }))));

/** Where CI is required to have it, its absence fails. */
const hasRedis = spawnSync('redis-server', ['--version']).status === 0;
const isRequired = process.env['HOTPACK_REQUIRE_REDIS'] === '1';
const why = hasRedis || isRequired ? '' : ': skipped, redis-server is not installed';

describe.skipIf(why !== '')(`Redis${why}`, () => {
  let server: ChildProcess;
  let url = '';
  beforeAll(async () => {
    const port = await freePort();
    const folder = temporaryFolder('redis');
    url = `redis://127.0.0.1:${port}/1`;
    server = spawn('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', folder], {
      stdio: 'pipe',
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.stdout?.on('data', (chunk: Buffer) => {
        if (chunk.toString('utf8').includes('Ready to accept connections')) resolve();
      });
    });
  });
  afterAll(() => void server.kill());

  describeKv('a real server', () => Promise.resolve(openRedisKv(url)));

  test('two clients see the same, also after the connection was lost', async () => {
    const [one, other] = [openRedisKv(url), openRedisKv(url)];
    await one.set('e:shared', '1');
    expect(await other.get('e:shared')).toEqual({ kind: 'found', text: '1' });
    spawnSync('redis-cli', ['-u', url, 'CLIENT', 'KILL', 'TYPE', 'normal']);
    await one.set('e:shared', '2').catch(() => one.set('e:shared', '2'));
    expect(await other.get('e:shared').catch(() => other.get('e:shared'))).toEqual({ kind: 'found', text: '2' });
    await Promise.all([one.close(), other.close()]);
  });
});

test('a server that cannot be reached is an error, soon', async () => {
  const kv = openRedisKv(`redis://127.0.0.1:${await freePort()}`);
  await expect(kv.get('a')).rejects.toMatchObject({ code: 'storage_unavailable', detail: { key: 'a' } });
  await kv.close();
});

test('a driver that hangs, throws, or answers with its error is an error', async () => {
  const driver = (getItem: KvDriver['getItem']): Kv => {
    const rest = { name: 'odd', setItem: () => undefined, removeItem: () => undefined, getKeys: () => [] };
    return createKv({ ...rest, getItem } as unknown as KvDriver, { timeoutMs: 20 });
  };
  const failed = { code: 'storage_unavailable' };
  await expect(driver(() => new Promise(() => undefined)).get('a')).rejects.toMatchObject({
    ...failed,
    cause: { code: 'timeout' },
  });
  const raise = (): never => {
    throw new Error('at once');
  };
  await expect(driver(raise).get('a')).rejects.toMatchObject(failed);
  await expect(driver(() => new Error('as a value') as never).get('a')).rejects.toMatchObject(failed);
  await expect(driver(() => 7 as never).get('a')).rejects.toMatchObject(failed);
});

test('in a folder a key is a file of its own', async () => {
  const folder = temporaryFolder('kv');
  mkdirSync(folder, { recursive: true });
  const kv = createKv(await openFsStorage({ folder }));
  await kv.set('counts:a', 'x');
  expect(readdirSync(join(folder, 'counts'))).toEqual(['a']);
  await kv.close();
});

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}
