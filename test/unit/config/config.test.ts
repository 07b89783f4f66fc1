import { readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { withSettingsTable } from '../../../docs/generate-settings.ts';
import { resolveConfig, type Config } from '../../../src/config.ts';
import { SETTINGS } from '../../../src/settings.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { credentialFields } from '../../../src/upstream/credential.ts';

type Env = Readonly<Record<string, string>>;

function read(env: Env, edge = false): Config {
  return resolveConfig(env, { edge }).config;
}

/** The message that a wrong setting gives. */
function refusal(env: Env): string {
  try {
    resolveConfig(env, { edge: false });
  } catch (error) {
    expect(error).toMatchObject({ code: 'invalid_argument' });
    return (error as Error).message;
  }
  throw new Error(`${JSON.stringify(env)} was taken`);
}

test('nothing set gives the defaults of the contract', () => {
  const { config, warnings } = resolveConfig({ PATH: '/bin', HOTPACK_STORAGE: '  ' }, { edge: false });
  expect(warnings).toEqual([]);
  expect(config).toMatchObject({
    host: '127.0.0.1',
    port: 8080,
    storage: { kind: 'fs', folder: '.hotpack' },
    refCheckIntervalMs: 10_000,
    fetchTimeoutMs: 300_000,
    cloneTimeoutMs: 3_600_000,
    lsRefsTimeoutMs: 60_000,
    staleIfErrorMs: 3_600_000,
    accessTtlMs: 60_000,
    accessDenyTtlMs: 5_000,
    maxBytes: { kind: 'share', percent: 80 },
    packCacheBytes: 10 * 2 ** 30,
    memoryBytes: 512 * 2 ** 20,
    maxRequestBytes: 64 * 2 ** 20,
    kv: { kind: 'store' },
    kvFlushIntervalMs: 5_000,
    cloneRetentionMs: 90 * 86_400_000,
    adminToken: '',
    shutdownTimeoutMs: 30_000,
    logLevel: 'info',
    secrets: [],
  });
  expect([...config.upstreams.values()]).toEqual(
    ['github.com', 'gitlab.com', 'bitbucket.org', 'codeberg.org'].map((name) => ({
      name,
      baseUrl: `https://${name}`,
      ignoresCase: true,
    })),
  );
});

test('the edge has less memory and no disk', () => {
  expect(read({}, true)).toMatchObject({ memoryBytes: 64 * 2 ** 20, storage: { kind: 'memory' } });
  expect(read({ HOTPACK_MEMORY_BYTES: '1GiB' }, true).memoryBytes).toBe(2 ** 30);
});

test('durations and sizes are read in every unit', () => {
  const ms = (text: string): number => read({ HOTPACK_REF_CHECK_INTERVAL: text }).refCheckIntervalMs;
  expect(['0', '250ms', '10s', '5m', '1h', '14d'].map(ms)).toEqual([0, 250, 10e3, 300e3, 3600e3, 14 * 86_400e3]);
  const bytes = (text: string): number => read({ HOTPACK_PACK_CACHE_BYTES: text }).packCacheBytes;
  expect(['0', '5', '5B', '64KiB', '64MiB', '10GiB', '1TiB'].map(bytes)).toEqual([
    0,
    5,
    5,
    2 ** 16,
    2 ** 26,
    10 * 2 ** 30,
    2 ** 40,
  ]);
});

test('upstreams are named, may have any base, and get their own token', () => {
  const { upstreams, secrets } = read({
    HOTPACK_UPSTREAMS: ' Git.example.com , up=http://127.0.0.1:8000/base/ ,github.com=https://mirror.example',
    HOTPACK_UPSTREAM_TOKENS: 'UP=me:s3cret=x,git.example.com=tok3n',
  });
  expect([...upstreams.keys()]).toEqual(['git.example.com', 'up', 'github.com']);
  expect(upstreams.get('up')).toMatchObject({ baseUrl: 'http://127.0.0.1:8000/base', ignoresCase: false });
  expect(upstreams.get('github.com')).toMatchObject({ baseUrl: 'https://mirror.example', ignoresCase: true });
  expect(credentialFields(upstreams.get('up')?.token)).toEqual([['authorization', `Basic ${btoa('me:s3cret=x')}`]]);
  expect(credentialFields(upstreams.get('git.example.com')?.token)).toEqual([
    ['authorization', `Basic ${btoa('x-access-token:tok3n')}`],
  ]);
  expect(upstreams.get('github.com')?.token).toBeUndefined();
  expect(secrets).toEqual(expect.arrayContaining(['s3cret=x', 'tok3n']));
});

const WRONG: readonly (readonly [string, string])[] = [
  ['PORT', '65536'],
  ['PORT', '-1'],
  ['PORT', '80x'],
  ['HOST', 'a b'],
  ['HOTPACK_REF_CHECK_INTERVAL', '10'],
  ['HOTPACK_REF_CHECK_INTERVAL', '1.5s'],
  ['HOTPACK_REF_CHECK_INTERVAL', '-1s'],
  ['HOTPACK_REF_CHECK_INTERVAL', '25d'],
  ['HOTPACK_FETCH_TIMEOUT', '0'],
  ['HOTPACK_FETCH_TIMEOUT', '0s'],
  ['HOTPACK_PACK_CACHE_BYTES', '10GB'],
  ['HOTPACK_PACK_CACHE_BYTES', '99999999TiB'],
  ['HOTPACK_MEMORY_BYTES', '1MiB'],
  ['HOTPACK_STORAGE', 's3://b'],
  ['HOTPACK_STORAGE', 's3://Bucket'],
  ['HOTPACK_STORAGE', 's3://bucket/../other'],
  ['HOTPACK_STORAGE', 's3://bucket//x'],
  ['AWS_ENDPOINT_URL_S3', 'localhost:9000'],
  ['AWS_REGION', 'eu west'],
  ['HOTPACK_STORAGE', 'fs:'],
  ['HOTPACK_KV_FLUSH_INTERVAL', '0'],
  ['HOTPACK_CLONE_RETENTION', '0d'],
  ['HOTPACK_CLONE_RETENTION', '3661d'],
  ['HOTPACK_LOG_LEVEL', 'loud'],
  ['HOTPACK_UPSTREAMS', ','],
  ['HOTPACK_UPSTREAMS', 'a/b'],
  ['HOTPACK_UPSTREAMS', '..'],
  ['HOTPACK_UPSTREAMS', 'a,A'],
  ['HOTPACK_UPSTREAMS', 'a=ftp://h'],
  ['HOTPACK_UPSTREAMS', 'a=nothing'],
  ['HOTPACK_UPSTREAMS', 'a=https://h?x=1'],
];

test.each(WRONG)('%s=%s is refused on one line that names it, its value and what it takes', (name, value) => {
  const message = refusal({ [name]: value });
  expect(message.startsWith(`${name}: ${JSON.stringify(value)} is not `)).toBe(true);
  expect(message).toMatch(/ is not (an? |bytes |fs:|one of |printable )\S*/);
  expect(message).not.toContain('\n');
});

test('every setting can be refused by name, and no value can break the line', () => {
  for (const { env } of Object.values(SETTINGS)) {
    const message = refusal({ [env]: '\u0001 \n no such value' });
    expect(message.startsWith(`${env}: `)).toBe(true);
    expect(message).not.toContain('\n');
  }
});

describe('a bucket', () => {
  const credential = { AWS_ACCESS_KEY_ID: 'AKID', AWS_SECRET_ACCESS_KEY: 'topsecret' };

  test.each([
    ['s3://bucket', { bucket: 'bucket', prefix: '' }],
    ['s3://my.bucket-1/', { bucket: 'my.bucket-1', prefix: '' }],
    ['s3://bucket/a/b_c/', { bucket: 'bucket', prefix: 'a/b_c' }],
  ])('%s', (value, expected) => {
    const config = read({ HOTPACK_STORAGE: value, AWS_SESSION_TOKEN: 'tokensecret', ...credential });
    expect(config.storage).toEqual({ kind: 's3', ...expected });
    expect(config).toMatchObject({ s3Region: 'us-east-1', s3Endpoint: '', s3AccessKeyId: 'AKID' });
    expect(config.secrets).toEqual(expect.arrayContaining(['topsecret', 'tokensecret']));
  });

  test('takes a credential, whose secret is never shown', () => {
    const HOTPACK_STORAGE = 's3://bucket';
    expect(refusal({ HOTPACK_STORAGE })).toMatch(/^AWS_ACCESS_KEY_ID: is needed /);
    expect(refusal({ HOTPACK_STORAGE, AWS_ACCESS_KEY_ID: 'AKID' })).toMatch(/^AWS_SECRET_ACCESS_KEY: is needed /);
    expect(refusal({ AWS_SECRET_ACCESS_KEY: 'top secret' })).not.toContain('top');
    expect(refusal({ AWS_SESSION_TOKEN: 'top secret' })).not.toContain('top');
  });
});

describe('secrets', () => {
  test('a wrong token list is refused without its value', () => {
    expect(refusal({ HOTPACK_UPSTREAM_TOKENS: 'topsecret' })).not.toContain('topsecret');
    expect(refusal({ HOTPACK_UPSTREAM_TOKENS: 'elsewhere.example=topsecret' })).not.toContain('topsecret');
  });

  test('a key-value store and an admin token that are wrong are refused without their values', () => {
    expect(refusal({ HOTPACK_KV: 'redis:/topsecret@host' })).not.toContain('topsecret');
    expect(refusal({ HOTPACK_ADMIN_TOKEN: 'top secret' })).not.toContain('secret');
    const { kv, adminToken, secrets } = read({
      HOTPACK_KV: 'redis://:top%20secret@h/1',
      HOTPACK_ADMIN_TOKEN: 'a-bearer-token',
    });
    expect({ kv, adminToken }).toEqual({
      kv: { kind: 'redis', url: 'redis://:top%20secret@h/1' },
      adminToken: 'a-bearer-token',
    });
    expect(secrets).toEqual(expect.arrayContaining(['top%20secret', 'top secret', 'a-bearer-token']));
  });

  test('userinfo in an upstream is refused without being shown', () => {
    expect(refusal({ HOTPACK_UPSTREAMS: 'a=https://me:topsecret@h' })).not.toContain('topsecret');
  });

  test('a configuration that is logged by mistake shows none', () => {
    const lines: string[] = [];
    const config = read({ HOTPACK_UPSTREAM_TOKENS: 'github.com=me:topsecret' });
    const options = { sink: (line: string) => lines.push(line), level: 'info', now: () => 0 } as const;
    createLogger({ ...options, secrets: config.secrets }).info('started', { config, also: 'me:topsecret' });
    expect(lines).toHaveLength(1);
    expect(lines[0]).not.toContain('topsecret');
    expect(lines[0]).not.toContain(btoa('me:topsecret'));
  });
});

test('a name that means nothing is a warning, other programs’ names are not', () => {
  const env = { HOTPACK_REF_CHECK_INTERVALL: '1s', HOTPACK_A: '1', HOTPAC: 'x', HOTPACK_LOG_LEVEL: 'warn' };
  expect(resolveConfig(env, { edge: false }).warnings).toEqual(['HOTPACK_A', 'HOTPACK_REF_CHECK_INTERVALL']);
});

test('any value is either taken or refused by name', () => {
  const names = Object.values(SETTINGS).map((setting) => setting.env);
  fc.assert(
    fc.property(fc.constantFrom(...names), fc.string(), (name, value) => {
      try {
        resolveConfig({ [name]: value }, { edge: false });
      } catch (error) {
        expect((error as Error).message).toMatch(new RegExp(`^${name}: `));
      }
    }),
  );
});

test("the README's table is the one that npm run docs writes", () => {
  const readme = readFileSync(new URL('../../../README.md', import.meta.url), 'utf8');
  expect(withSettingsTable(readme)).toBe(readme);
});
