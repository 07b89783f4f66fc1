/** What `/metrics` and the log say after known requests. */
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { git, temporaryFolder } from '../support/git.ts';
import { send } from '../support/raw-client.ts';
import { revision, richRepository } from '../support/repositories.ts';
import { fetchRaw, fillMirror, openHouse, type House } from './house.ts';

const name = 'up/rich';
let house: House;
beforeAll(async () => {
  house = await openHouse({ rich: richRepository() });
});
afterAll(() => house.close());

test('requests, upstream requests and bytes are counted by where they came from', async () => {
  await fillMirror(house, name);
  const { hotpack } = house;
  const servedCold = await hotpack.metric('hotpack_served_bytes_total', { source: 'upstream' });
  expect(servedCold).toBeGreaterThan(700_000);
  expect(await hotpack.metric('hotpack_upstream_bytes_total')).toBeGreaterThan(700_000);
  expect(await hotpack.metric('hotpack_upstream_requests_total', { outcome: 'ok' })).toBeGreaterThanOrEqual(2);
  const fromMirror = await hotpack.metric('hotpack_requests_total', { source: 'mirror' });
  const servedMirror = await hotpack.metric('hotpack_served_bytes_total', { source: 'mirror' });
  const clone = join(temporaryFolder('metrics'), 'clone');
  await git(['clone', '-q', hotpack.repository(name), clone]);
  expect(await hotpack.metric('hotpack_requests_total', { source: 'mirror' })).toBe(fromMirror + 1);
  expect(await hotpack.metric('hotpack_served_bytes_total', { source: 'mirror' })).toBeGreaterThan(
    servedMirror + 700_000,
  );
  expect(await hotpack.metric('hotpack_mirrors')).toBe(1);
});

test('a refusal and a failure of upstream are told apart', async () => {
  const { hotpack, upstream } = house;
  const denied = await hotpack.metric('hotpack_upstream_requests_total', { outcome: 'denied' });
  const failed = await hotpack.metric('hotpack_upstream_requests_total', { outcome: 'failed' });
  const rule = upstream.when({ repository: 'up/none' }, { do: 'status', status: 404 });
  await send(`${hotpack.repository('up/none')}/info/refs?service=git-upload-pack`, {
    headers: { 'git-protocol': 'version=2' },
  });
  rule.remove();
  expect(await hotpack.metric('hotpack_upstream_requests_total', { outcome: 'denied' })).toBeGreaterThan(denied);
  upstream.when({ repository: 'up/broken' }, { do: 'status', status: 502 });
  await send(`${hotpack.repository('up/broken')}/info/refs?service=git-upload-pack`, {
    headers: { 'git-protocol': 'version=2' },
  });
  expect(await hotpack.metric('hotpack_upstream_requests_total', { outcome: 'failed' })).toBeGreaterThan(failed);
});

test('the page is Prometheus text, and names no repository', async () => {
  const answer = await send(`${house.hotpack.url}/metrics`);
  expect(answer.status).toBe(200);
  expect(String(answer.headers['content-type'])).toMatch(/^text\/plain/);
  const text = answer.body.toString('utf8');
  const samples = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  const pattern = /^[a-z_]+(\{([a-z_]+="[^"]*",?)*\})? [0-9.e+-]+(Inf)?$/;
  expect(samples.filter((line) => !pattern.test(line))).toEqual([]);
  expect(text).not.toContain('up/rich');
});

test('the log is JSON lines that say where an answer came from', async () => {
  await fetchRaw(house, name, ['deepen 1', `want ${revision(house.upstream.folder(name), 'main')}`]);
  const { log } = house.hotpack;
  expect(log.length).toBeGreaterThan(0);
  for (const line of log.slice(0, 50)) {
    expect(Number.isNaN(Date.parse(line.time))).toBe(false);
    expect(['debug', 'info', 'warn', 'error']).toContain(line.level);
    expect(line.event).toMatch(/^[a-z][a-z0-9_.-]*$/);
  }
});

test('liveness and readiness', async () => {
  expect((await send(`${house.hotpack.url}/_liveness`)).status).toBe(200);
  const ready = await send(`${house.hotpack.url}/_readiness`);
  expect({ status: ready.status, body: JSON.parse(ready.body.toString('utf8')) as unknown }).toEqual({
    status: 200,
    body: { ready: true },
  });
});

test('SIGTERM ends with 0', async () => {
  const second = await openHouse({ rich: richRepository() });
  const code = await second.hotpack.stop();
  await second.close();
  expect(code).toBe(0);
});

test('with HOTPACK_METRICS_PER_REPO=1 they name what was read, to those alone whom /api answers', async () => {
  const env = { HOTPACK_METRICS_PER_REPO: '1', HOTPACK_ADMIN_TOKEN: 'admin-token-of-metrics' };
  const named = await openHouse({ rich: richRepository() }, env);
  try {
    const { hotpack } = named;
    await send(`${hotpack.repository(name)}/info/refs?service=git-upload-pack`);
    await send(`${hotpack.repository('up/invented')}/info/refs?service=git-upload-pack`);
    expect((await fetch(`${hotpack.url}/metrics`)).status).toBe(401);
    const answer = await fetch(`${hotpack.url}/metrics`, {
      headers: { authorization: `Bearer ${env.HOTPACK_ADMIN_TOKEN}` },
    });
    const text = await answer.text();
    expect(text).toContain('hotpack_requests_total{kind="info-refs",source="upstream",repo="up/rich"} 1');
    expect(text).toMatch(/hotpack_served_bytes_total\{source="upstream",repo="up\/rich"\} [1-9]/);
    expect(text).not.toContain('invented');
  } finally {
    await named.close();
  }
});
