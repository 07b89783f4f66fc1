/** What the driver makes of a bucket that refuses, breaks off, loses its answers or says nothing. */
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { isHotpackError } from '../../../src/bytes/error.ts';
import { readAllStream } from '../../../src/bytes/streams.ts';
import {
  createNonce,
  parseDocument,
  REMEMBERED_NONCES,
  writeDocument,
} from '../../../src/storage/drivers/bucket/document-format.ts';
import { createS3Storage } from '../../../src/storage/drivers/s3.ts';
import type { S3Options } from '../../../src/storage/drivers/s3/client.ts';
import { startS3Server, type Fault, type S3Server } from '../../support/s3-server.ts';
import { bytesOf, equalBytes, found, increment, range, versionOf } from '../../support/storage-contract/context.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
type S3Storage = ReturnType<typeof createS3Storage>;

let server: S3Server;
let storage: S3Storage;

function open(options: Partial<S3Options> = {}): S3Storage {
  const { bucket, region, endpoint, credentials } = server;
  return createS3Storage({ bucket, region, endpoint, prefix: '', ...credentials, ...options });
}

beforeEach(async () => {
  server = await startS3Server();
  storage = open();
});
afterEach(async () => {
  server.fault = undefined;
  await storage.close();
  await server.stop();
});

/** The first `times` calls of an operation go wrong. */
function failFirst(name: string, fault: Fault, times = 1): void {
  let left = times;
  server.fault = (call) => (call.name === name && left-- > 0 ? fault : undefined);
}

function callsOf(name: string): number {
  return server.calls.filter((call) => call.split(' ')[0] === name).length;
}

describe('a call is tried again', () => {
  test.each(['unavailable', 'reset', 'lost'] as const)('where each operation is %s once', async (fault) => {
    const seen = new Set<string>();
    server.fault = ({ name }) => {
      if (seen.has(name)) return undefined;
      seen.add(name);
      return fault;
    };
    await storage.put('a', bytesOf(10));
    expect(await found(storage, 'a')).toEqual(bytesOf(10));
    expect(await storage.head('a')).toMatchObject({ bytes: 10 });
    expect((await storage.list('')).objects).toHaveLength(1);
    await storage.delete(['a']);
    const writer = await storage.openWriter('w');
    await writer.write(bytesOf(17_000_000));
    await writer.commit();
    expect(equalBytes(await found(storage, 'w', 17_000_000), bytesOf(17_000_000))).toBe(true);
    await storage.removeAbandoned(Date.now());
    expect(seen).toContain('CompleteMultipartUpload');
    expect(seen).toContain('UploadPartCopy');
    expect([...server.store.objects.keys()]).toEqual(['w']);
  });

  test('not where that cannot help, and not without end', async () => {
    const wrong = open({ secretAccessKey: 'another' });
    await expect(wrong.put('a', bytesOf(1))).rejects.toMatchObject({ code: 'storage_unavailable' });
    expect(callsOf('PutObject')).toBe(1);
    server.calls.length = 0;
    server.fault = () => 'unavailable';
    await expect(storage.probe()).rejects.toMatchObject({ code: 'storage_unavailable' });
    expect(callsOf('PutObject')).toBe(2);
  });

  test('until its caller leaves', async () => {
    server.fault = () => 'unavailable';
    const leaving = new AbortController();
    const reading = storage.readAll('a', 10, leaving.signal);
    setTimeout(() => leaving.abort(), 50);
    await expect(reading).rejects.toMatchObject({ code: 'aborted' });
  });
});

describe('a write whose answer was lost', () => {
  test('is not taken for another one’s', async () => {
    failFirst('PutObject', 'lost');
    expect(await storage.create('a', bytesOf(3))).toBe('created');
    failFirst('PutObject', 'lost');
    const first = await storage.replaceDocument('d', bytesOf(3), 'absent');
    expect(callsOf('PutObject')).toBe(4);
    failFirst('PutObject', 'lost');
    const second = await storage.replaceDocument('d', bytesOf(4), versionOf(first));
    expect(await storage.replaceDocument('d', bytesOf(5), versionOf(first))).toEqual({ kind: 'lost' });
    expect((await storage.replaceDocument('d', bytesOf(5), versionOf(second))).kind).toBe('replaced');
    expect(await storage.readDocument('d')).toMatchObject({ bytes: bytesOf(5) });
  });

  test('and that never took place loses to who came first', async () => {
    const first = await storage.replaceDocument('d', bytesOf(1), 'absent');
    const version = versionOf(first);
    let puts = 0;
    server.fault = ({ name }) => {
      if (name !== 'PutObject' || ++puts > 1) return undefined;
      replaceBehind('d', bytesOf(2));
      return 'reset';
    };
    expect(await storage.replaceDocument('d', bytesOf(3), version)).toEqual({ kind: 'lost' });
    expect(await storage.readDocument('d')).toMatchObject({ bytes: bytesOf(2) });
    server.fault = ({ name }) => {
      if (name !== 'PutObject' || server.store.objects.has('e!')) return undefined;
      server.store.put('e!', Buffer.from(writeDocument(createNonce(), [], bytesOf(1))), {});
      return 'reset';
    };
    expect(await storage.replaceDocument('e', bytesOf(3), 'absent')).toEqual({ kind: 'lost' });
  });

  test('is known for having won where others have replaced it since', async () => {
    const version = versionOf(await storage.replaceDocument('d', bytesOf(1), 'absent'));
    let gets = 0;
    server.fault = ({ name }) => {
      if (name === 'GetObject' && gets++ === 0) for (const n of range(7)) replaceBehind('d', bytesOf(10 + n));
      return name === 'PutObject' && gets === 0 && callsOf('PutObject') === 2 ? 'lost' : undefined;
    };
    const ours = await storage.replaceDocument('d', bytesOf(2), version);
    expect(gets).toBe(1);
    expect(await storage.replaceDocument('d', bytesOf(3), versionOf(ours))).toEqual({ kind: 'lost' });
  });

  test('is an error where nobody can tell any more', async () => {
    const version = versionOf(await storage.replaceDocument('d', bytesOf(1), 'absent'));
    server.fault = ({ name }) => {
      if (name === 'GetObject') for (const n of range(REMEMBERED_NONCES)) replaceBehind('d', bytesOf(10 + n));
      return name === 'PutObject' && callsOf('PutObject') === 2 ? 'lost' : undefined;
    };
    const replacing = storage.replaceDocument('d', bytesOf(2), version);
    await expect(replacing).rejects.toMatchObject({ code: 'storage_unavailable' });
  });

  test('counts once, whatever becomes of a third of all calls', async () => {
    let state = 7;
    const random = (): number => (state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0) / 2 ** 32;
    server.fault = () => {
      const dice = random();
      return dice < 0.12 ? 'lost' : dice < 0.24 ? 'reset' : dice < 0.33 ? 'unavailable' : undefined;
    };
    const second = open();
    // Seven faults in a row, after which a call gives up, befall one of some thousands: it says so, and took place once or not at all.
    let unsure = 0;
    const incrementOnce = async (at: typeof storage): Promise<void> => {
      try {
        await increment(at, 'counter');
      } catch (error) {
        if (!isHotpackError(error, 'storage_unavailable')) throw error;
        unsure++;
      }
    };
    await Promise.all(range(6).map((i) => times(5, () => incrementOnce(i % 2 === 0 ? storage : second))));
    server.fault = () => undefined;
    const final = await storage.readDocument('counter');
    const counted = Number(final.kind === 'found' && new TextDecoder().decode(final.bytes));
    expect(unsure).toBeLessThan(5);
    expect(counted).toBeGreaterThanOrEqual(30 - unsure);
    expect(counted).toBeLessThanOrEqual(30);
    await second.close();
  });
});

describe('a body', () => {
  test('that breaks off is read on from there, or again', async () => {
    await storage.put('big', bytesOf(3_000_000));
    const reader = await storage.open('big');
    if (reader.kind === 'absent') throw new Error('absent');
    failFirst('GetObject', 'cut', 3);
    expect(equalBytes(await readAllStream(reader.stream(), 3_000_000), bytesOf(3_000_000))).toBe(true);
    expect(callsOf('GetObject')).toBe(4);
    failFirst('GetObject', 'cut', 2);
    expect(equalBytes(await reader.read(5, 1_000_000), bytesOf(3_000_000).subarray(5, 1_000_005))).toBe(true);
    server.fault = ({ name }) => (name === 'GetObject' ? 'reset' : undefined);
    const leaving = new AbortController();
    const stream = reader.stream(undefined, leaving.signal);
    setTimeout(() => leaving.abort(), 50);
    await expect(readAllStream(stream, 3_000_000)).rejects.toMatchObject({ code: 'aborted' });
    await reader.close();
  });

  test('or an answer that does not come is given up after a while and asked for again', async () => {
    const impatient = open({ idleTimeoutMs: 100 });
    await impatient.put('a', bytesOf(10));
    failFirst('GetObject', 'hang');
    expect(await found(impatient, 'a')).toEqual(bytesOf(10));
    failFirst('PutObject', 'hang');
    await impatient.put('a', bytesOf(11));
    expect(await found(impatient, 'a')).toEqual(bytesOf(11));
    await impatient.close();
  });
});

test('a large object is sent once, and costs so many calls', async () => {
  const writer = await storage.openWriter('w');
  await writer.write(bytesOf(17_000_000));
  await writer.rewriteHead(bytesOf(12));
  await writer.commit();
  const counted = new Map<string, number>();
  for (const call of server.calls) counted.set(call.split(' ')[0] as string, callsOf(call.split(' ')[0] as string));
  expect(Object.fromEntries(counted)).toEqual({
    // Two segments, the first once more with its new head, which was read back for that.
    PutObject: 3,
    GetObject: 1,
    CreateMultipartUpload: 1,
    UploadPartCopy: 2,
    UploadPart: 1,
    CompleteMultipartUpload: 1,
    DeleteObjects: 1,
  });
});

test('what killed writers left is removed when it is a day old, and nothing else', async () => {
  const { store } = server;
  const old = Date.now() - DAY_MS - 1000;
  const put = (key: string, modifiedAtMs: number): void =>
    void store.objects.set(key, { ...store.put(key, Buffer.from('x'), {}), modifiedAtMs });
  for (const n of range(1_100)) put(`pre/tmp/old/${n}`, old);
  put('pre/tmp/young/0', Date.now());
  put('pre/mirrors/old', old);
  put('tmp/of-others', old);
  for (const n of range(1_050)) store.upload(`pre/m/${n}`, store.open(`pre/m/${n}`, {})).initiatedAtMs = old;
  store.open('pre/m/young', {});
  store.upload('other', store.open('other', {})).initiatedAtMs = old;
  expect(await open({ prefix: 'pre' }).removeAbandoned(Date.now())).toBe(1_100);
  expect([...store.objects.keys()]).toEqual(['pre/tmp/young/0', 'pre/mirrors/old', 'tmp/of-others']);
  expect([...store.uploads.values()].map((upload) => upload.key)).toEqual(['pre/m/young', 'other']);
});

test('no error tells a credential', async () => {
  const secret = { secretAccessKey: 'top/secret+value', sessionToken: 'session+secret' };
  const errors: unknown[] = [];
  for (const options of [secret, { ...secret, endpoint: 'http://127.0.0.1:1' }]) {
    const one = open(options);
    errors.push(await one.probe().catch((error: unknown) => error));
    errors.push(await one.delete(['a'], AbortSignal.timeout(300)).catch((error: unknown) => error));
    await one.close();
  }
  for (const error of errors) {
    expect(error).toBeInstanceOf(Error);
    const text = inspect(error, { depth: 20, showHidden: true });
    for (const part of ['top/secret', 'top%2Fsecret', 'session+secret', 'session%2Bsecret', 'Signature=']) {
      expect(text).not.toContain(part);
    }
  }
});

/** Another writer replaces the document at once, between two calls. */
function replaceBehind(key: string, value: Uint8Array): void {
  const { bytes } = server.store.objects.get(`${key}!`) ?? { bytes: Buffer.alloc(0) };
  const { nonces } = parseDocument(key, bytes);
  server.store.put(`${key}!`, Buffer.from(writeDocument(createNonce(), nonces, value)), {});
}

async function times(count: number, work: () => Promise<void>): Promise<void> {
  for (let n = 0; n < count; n++) await work();
}
