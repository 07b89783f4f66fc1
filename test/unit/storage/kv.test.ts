/** The contract of `Kv` over what it is used with: folders, memory, unstorage's own drivers, a real Redis, Workers KV, Deno's. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Miniflare } from 'miniflare';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import unstorageFs from 'unstorage/drivers/fs';
import unstorageMemory from 'unstorage/drivers/memory';
import { openCloudflareKv, type CloudflareKvNamespace } from '../../../src/storage/drivers/cloudflare-kv.ts';
import { openFsStorage } from '../../../src/storage/drivers/fs.ts';
import { createMemoryStorage } from '../../../src/storage/drivers/memory.ts';
import { openRedisKv } from '../../../src/storage/drivers/redis-kv.ts';
import type { Kv } from '../../../src/storage/kv/contract.ts';
import { createKv, type KvDriver } from '../../../src/storage/kv/driver-kv.ts';
import { DENO, DENO_ON_DEPLOY } from '../../support/deno.ts';
import { openKvInDeno } from '../../support/deno-kv/client.ts';
import { temporaryFolder } from '../../support/git.ts';
import { freePort, startRedis, withoutRedis, type Redis } from '../../support/redis.ts';
import { noise } from '../../support/repositories.ts';

async function keysOf(kv: Kv, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const key of kv.list(prefix)) keys.push(key);
  return keys.toSorted();
}

/** `tears`: why a reader there may see half of what is being written. */
function describeKv(name: string, open: () => Promise<Kv>, tears?: string): void {
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

    test('many are read as one is, in the order that was asked for', async () => {
      const kv = await open();
      const keys = Array.from({ length: 100 }, (_, n) => `m:many:${(n * 37) % 100}`);
      for (const [n, key] of keys.entries()) if (n % 10 !== 3) await kv.set(key, `text of ${key}`);
      const found = await kv.getMany(keys);
      expect(found).toEqual(
        keys.map((key, n) => (n % 10 === 3 ? { kind: 'absent' } : { kind: 'found', text: `text of ${key}` })),
      );
      expect(await kv.getMany([])).toEqual([]);
      expect((await keysOf(kv, 'm:many:')).length).toBe(90);
      await expect(kv.getMany([...keys, 'm:one'])).rejects.toMatchObject({ code: 'invalid_argument' });
      await expect(kv.getMany(['m:many:1', 'A'])).rejects.toMatchObject({ code: 'invalid_argument' });
      await expect(kv.getMany(keys, AbortSignal.abort())).rejects.toMatchObject({ code: 'aborted' });
      await kv.close();
    });

    test('a long text is all there or not there, also while it is replaced', async ({ skip }) => {
      skip(tears !== undefined, tears);
      const kv = await open();
      const long = (seed: string): string => noise(seed, 200_000).toString('hex');
      const texts = [long('one'), 'short', long('two'), noise('three', 90_000).toString('hex')];
      await kv.set('l:text', texts[0]!);
      const replaced = (async () => {
        for (let n = 1; n <= 12; n++) await kv.set('l:text', texts[n % 4]!);
      })();
      for (let n = 0; n < 20; n++) {
        const [read] = n % 2 === 0 ? await kv.getMany(['l:text']) : [await kv.get('l:text')];
        expect(texts.some((text) => read?.kind === 'found' && read.text === text)).toBe(true);
      }
      await replaced;
      expect(await keysOf(kv, 'l:')).toEqual(['l:text']);
      await kv.delete('l:text');
      expect(await kv.get('l:text')).toEqual({ kind: 'absent' });
      expect(await keysOf(kv, 'l:')).toEqual([]);
      await kv.close();
    });

    test('a list shows each key below its prefix once, and others’ not', async () => {
      const kv = await open();
      const keys = Array.from({ length: 1_200 }, (_, n) => `c:list:${n % 7}:${n}`);
      const all = [...keys, 'c:lists:1', 'c:lis', 'd:list:1'];
      for (let at = 0; at < all.length; at += 50) {
        await Promise.all(all.slice(at, at + 50).map((key) => kv.set(key, 'x')));
      }
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
describeKv(
  "unstorage's folder",
  () => Promise.resolve(createKv(unstorageFs({ base: temporaryFolder('kv') }))),
  'it writes into the file that is read',
);

describe.skipIf(withoutRedis !== '')(`Redis${withoutRedis}`, () => {
  let redis: Redis;
  let url = '';
  beforeAll(async () => {
    redis = await startRedis();
    url = `redis://127.0.0.1:${redis.port}/1`;
  });
  afterAll(() => redis.stop());

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

describe('Workers KV', () => {
  let worker: Miniflare;
  const open = async (): Promise<CloudflareKvNamespace> => (await worker.getKVNamespace('KV')) as never;
  beforeAll(() => {
    const script = 'export default { fetch: () => new Response() }';
    worker = new Miniflare({ modules: true, script, compatibilityDate: '2026-07-01', kvNamespaces: ['KV'] });
  });
  afterAll(() => worker.dispose());

  describeKv('a binding', async () => openCloudflareKv(await open()));

  test('what a value cannot hold is refused before it is sent', async () => {
    const binding = await open();
    const kv = openCloudflareKv(binding);
    // 20 Mi characters of two bytes.
    await expect(kv.set('n:long', 'ü'.repeat(20 * 2 ** 20))).rejects.toMatchObject({ code: 'limit_exceeded' });
    expect(await kv.get('n:long')).toEqual({ kind: 'absent' });
  });
});

describe.each([
  ['newest', DENO],
  ['of Deno Deploy', DENO_ON_DEPLOY],
])("Deno's own store, %s", (_, deno) => {
  const path = join(temporaryFolder('deno-kv'), 'kv.sqlite3');
  const opened: { stop(): Promise<void> }[] = [];
  const open = (): Kv => {
    const one = openKvInDeno(deno, path);
    opened.push(one);
    return one.kv;
  };
  afterAll(() => Promise.all(opened.map((one) => one.stop())));

  describeKv('a database', () => Promise.resolve(open()));

  test('what ten values cannot hold is refused, and leaves what was there', async () => {
    const [kv, other] = [open(), open()];
    await kv.set('n:long', 'short');
    const refused = kv.set('n:long', noise('too long', 1_000_000).toString('base64'));
    await expect(refused).rejects.toMatchObject({ code: 'limit_exceeded' });
    // Another process sees what the first one wrote.
    expect(await other.get('n:long')).toEqual({ kind: 'found', text: 'short' });
    await Promise.all([kv.close(), other.close()]);
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
