import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { HotpackError } from '../../../src/bytes/error.ts';
import { createLogger, type LogFields, type LogLevel } from '../../../src/telemetry/logger.ts';
import { createMetrics } from '../../../src/telemetry/metrics.ts';
import { createRegistry } from '../../../src/telemetry/registry.ts';

function log(fields: LogFields, options: { level?: LogLevel; secrets?: readonly string[] } = {}): string {
  const lines: string[] = [];
  const { level = 'info', secrets = [] } = options;
  createLogger({ sink: (line) => lines.push(line), level, now: () => 1_795_000_000_000, secrets }).info(
    'request',
    fields,
  );
  return lines.join('\n');
}

test('a line is one JSON object with time, level and event, which no field replaces', () => {
  const line = log({ repo: 'a/b', text: 'two\nlines', event: 'other', level: 'x', time: 'y', bytes: 5 });
  expect(line).not.toContain('\n');
  expect(JSON.parse(line)).toEqual({
    time: '2026-11-18T11:06:40.000Z',
    level: 'info',
    event: 'request',
    repo: 'a/b',
    text: 'two\nlines',
    bytes: 5,
  });
});

test('only the configured level and above come out', () => {
  const seen: string[] = [];
  const logger = createLogger({
    sink: (line) => seen.push((JSON.parse(line) as { level: string }).level),
    level: 'warn',
    now: Date.now,
    secrets: [],
  });
  logger.debug('request');
  logger.info('request');
  logger.warn('request');
  logger.error('request');
  expect(seen).toEqual(['warn', 'error']);
});

const SECRET = 'hunter2hunter2';
const LEAKS: Readonly<Record<string, LogFields>> = {
  'an Authorization header': { headers: new Headers({ authorization: `Basic ${SECRET}` }) },
  'a plain header object': { headers: { Authorization: SECRET, cookie: SECRET } },
  'a header line in text': { text: `Authorization: Bearer ${SECRET}` },
  'basic credentials in text': { text: `sent basic ${SECRET} upstream` },
  'userinfo in a URL': { url: `https://me:${SECRET}@host/a.git` },
  'userinfo with an @ of its own': { url: `https://me:x@${SECRET}@host/a.git` },
  'a token as user name': { text: `cannot read http://${SECRET}@host:80/a` },
  'a URL object': { url: new URL(`https://me:${SECRET}@host/`) },
  'a query': { url: `/a?private_token=${SECRET}&x=1` },
  'a token field deep inside': { a: [{ b: { accessToken: SECRET } }] },
  'an error with a cause': {
    error: new HotpackError('upstream_unavailable', `https://${SECRET}@h refused`, {
      detail: { url: `https://u:${SECRET}@h` },
      cause: new Error(`Bearer ${SECRET}`),
    }),
  },
  'a map': { map: new Map([['authorization', SECRET]]) },
  'a key': { [`https://me:${SECRET}@host/`]: 1 },
};

test.each(Object.entries(LEAKS))('%s never comes out', (_name, fields) => {
  const line = log(fields);
  expect(line).toContain('[redacted]');
  expect(line).not.toContain(SECRET);
});

test('tokens of the large hosts are known by their shape', () => {
  const token = `ghp_${'a1B2'.repeat(9)}`;
  expect(log({ text: `using ${token} now` })).not.toContain(token);
});

test('a configured secret never comes out, wherever it is and however it is spelled', () => {
  const secret = 'p@ss/w ord';
  for (const text of [secret, encodeURIComponent(secret), btoa(secret)]) {
    expect(log({ odd: { place: `x${text}y` } }, { secrets: [secret] })).not.toContain(text);
  }
});

test('what is no secret stays readable', () => {
  const line = log({ repo: 'github.com/a/b', message: 'cannot reach https://github.com/a/b@main', ms: 1.5, ok: true });
  expect(JSON.parse(line)).toMatchObject({
    repo: 'github.com/a/b',
    message: 'cannot reach https://github.com/a/b@main',
    ms: 1.5,
    ok: true,
  });
});

test('values that JSON cannot hold do not break a line', () => {
  const loop: Record<string, unknown> = { big: 10n, bytes: new Uint8Array(3) };
  loop['self'] = loop;
  expect(JSON.parse(log({ loop }))).toMatchObject({ loop: { big: '10', bytes: '[3 bytes]' } });
});

test('counters, gauges and histograms come out as Prometheus reads them', () => {
  const registry = createRegistry();
  const counter = registry.counter<{ kind: string }>({ name: 'b_total', help: 'Bees.', labels: ['kind'] });
  counter.add({ kind: 'x' });
  counter.add({ kind: 'x' }, 2);
  counter.add({ kind: 'say "hi"\n\\' });
  registry.gauge({ name: 'a_bytes', help: 'One\nline.', labels: [] }).set({}, 7);
  const histogram = registry.histogram<{ k: string }>({
    name: 'c_seconds',
    help: 'C.',
    labels: ['k'],
    buckets: [1, 5],
  });
  for (const value of [0.5, 1, 2, 60]) histogram.observe({ k: 'v' }, value);
  expect(registry.render()).toBe(
    [
      '# HELP a_bytes One\\nline.',
      '# TYPE a_bytes gauge',
      'a_bytes 7',
      '# HELP b_total Bees.',
      '# TYPE b_total counter',
      'b_total{kind="x"} 3',
      'b_total{kind="say \\"hi\\"\\n\\\\"} 1',
      '# HELP c_seconds C.',
      '# TYPE c_seconds histogram',
      'c_seconds_bucket{k="v",le="1"} 2',
      'c_seconds_bucket{k="v",le="5"} 3',
      'c_seconds_bucket{k="v",le="+Inf"} 4',
      'c_seconds_sum{k="v"} 63.5',
      'c_seconds_count{k="v"} 4',
      '',
    ].join('\n'),
  );
});

test('a counter only grows, and a name is taken once', () => {
  const registry = createRegistry();
  const counter = registry.counter({ name: 'a_total', help: '', labels: [] });
  expect(() => counter.add({}, -1)).toThrow(/only grows/);
  expect(() => counter.add({}, Number.NaN)).toThrow(/only grows/);
  expect(() => registry.gauge({ name: 'a_total', help: '', labels: [] })).toThrow(/twice/);
});

test('label values cannot break out of their quotes', () => {
  fc.assert(
    fc.property(fc.string(), (value) => {
      const registry = createRegistry();
      registry.counter<{ k: string }>({ name: 'a_total', help: 'A.', labels: ['k'] }).add({ k: value });
      const line = registry.render().split('\n').slice(2).join('\n').trimEnd();
      const inside = /^a_total\{k="((?:[^"\\\n]|\\["\\n])*)"\} 1$/.exec(line)?.[1];
      expect(inside?.replaceAll(/\\(.)/g, (_all, char) => (char === 'n' ? '\n' : String(char)))).toBe(value);
    }),
  );
});

test('the metrics are those of the contract, and gauges are collected when they are read', async () => {
  const metrics = createMetrics();
  let calls = 0;
  metrics.onCollect(async () => {
    await Promise.resolve();
    calls++;
    metrics.mirrors.set({}, 3);
  });
  metrics.requests.add({ kind: 'fetch', source: 'mirror', repo: 'up/a/b' });
  metrics.requestSeconds.observe({ kind: 'fetch', source: 'mirror' }, 0.2);
  const text = await metrics.render();
  expect(calls).toBe(1);
  expect(text).toContain('\nhotpack_mirrors 3\n');
  expect(text).toContain('\nhotpack_requests_total{kind="fetch",source="mirror"} 1\n');
  const names = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, kind]) => `${name} ${kind}`);
  expect(names).toEqual([
    'hotpack_access_total counter',
    'hotpack_clones_total counter',
    'hotpack_counts_dropped_total counter',
    'hotpack_evictions_total counter',
    'hotpack_jobs gauge',
    'hotpack_mirrors gauge',
    'hotpack_prewarm_pass_duration_seconds histogram',
    'hotpack_prewarm_passes_total counter',
    'hotpack_prewarm_repo_duration_seconds histogram',
    'hotpack_request_duration_seconds histogram',
    'hotpack_requests_total counter',
    'hotpack_served_bytes_total counter',
    'hotpack_stored_bytes gauge',
    'hotpack_upstream_bytes_total counter',
    'hotpack_upstream_requests_total counter',
    'hotpack_warmed_requests_total counter',
  ]);
});
