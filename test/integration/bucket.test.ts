/** Several servers on Node over one bucket: what one has filled any of them serves, whatever becomes of it. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { assertSound } from '../support/clones.ts';
import { git, temporaryFolder } from '../support/git.ts';
import { Hotpack } from '../support/hotpack.ts';
import { richRepository } from '../support/repositories.ts';
import { startS3Server, type S3Server } from '../support/s3-server.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';

let upstream: Upstream;
let s3: S3Server;
const running: Hotpack[] = [];
const name = 'up/rich';

beforeEach(async () => {
  s3 = await startS3Server();
  upstream = await startUpstream();
  upstream.add(name, richRepository());
});
afterEach(async () => {
  s3.fault = undefined;
  s3.delayMs = 0;
  upstream.clearRules();
  try {
    for (const one of running.splice(0)) await one.stop();
  } finally {
    await upstream.stop();
    await s3.stop();
  }
});

async function startServer(env: Readonly<Record<string, string>> = {}): Promise<Hotpack> {
  const hotpack = new Hotpack({ upstreams: { up: upstream.base('up') }, env: { ...s3.env('cache/of-ci'), ...env } });
  running.push(hotpack);
  return hotpack.start();
}

/** A clone through a server, checked by git. */
async function clone(hotpack: Hotpack, options: readonly string[] = []): Promise<string> {
  const folder = join(temporaryFolder('clone'), 'work');
  await git(['clone', '--quiet', ...options, hotpack.repository(name), folder]);
  await assertSound(folder);
  return folder;
}

const fetches = (): number => upstream.journal.select({ repository: name, kind: 'fetch' }).length;
const keysOf = (part: string): string[] => [...s3.store.objects.keys()].filter((key) => key.includes(part));
const manifestIsThere = (): boolean => keysOf('/hotpack/manifest!').length > 0;

async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 20_000; !(await isSo());) {
    if (Date.now() > deadline) throw new Error(`after 20 s not yet: ${what}\n${running[0]?.stderr.slice(-4000)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** The mirror as it lies in the bucket, in a folder, judged by git. */
async function fsckAtRest(): Promise<void> {
  const folder = temporaryFolder('at-rest');
  for (const [key, object] of s3.store.objects) {
    const path = join(folder, key);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, object.bytes);
  }
  const mirror = join(folder, 'cache/of-ci/mirrors', `${name}.git`);
  await git(['-C', mirror, 'fsck', '--full', '--no-dangling', '--no-progress']);
}

test('what one filled is served after a restart and by another, without a fetch from upstream', async () => {
  const first = await startServer();
  await clone(first);
  await until('the fill', manifestIsThere);
  await until('the refs', () => keysOf('/packed-refs').length > 0);
  await fsckAtRest();
  expect(fetches()).toBe(1);
  upstream.forbidFetch(name);
  await clone(first, ['--depth=1']);
  await first.restart();
  await clone(first);
  const second = await startServer();
  await clone(second);
  await clone(second, ['--filter=blob:none', '--no-checkout']);
  expect(await second.metric('hotpack_requests_total', { source: 'mirror' })).toBeGreaterThan(0);
  expect(keysOf('/tmp/')).toEqual([]);
  expect(s3.store.uploads.size).toBe(0);
  expect([...s3.store.objects.keys()].every((key) => key.startsWith('cache/of-ci/'))).toBe(true);
  const { accessKeyId, secretAccessKey } = s3.credentials;
  for (const hotpack of running) {
    expect(hotpack.stderr).not.toContain(secretAccessKey);
    expect(hotpack.stderr).not.toContain(accessKeyId);
  }
});
