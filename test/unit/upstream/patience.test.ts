import { afterEach, expect, test, vi } from 'vitest';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { createMetrics } from '../../../src/telemetry/metrics.ts';
import { createUpstream } from '../../../src/upstream/client.ts';
import { createPatience } from '../../../src/upstream/exchange/patience.ts';
import { parseRepositoryPath, type UpstreamConfig } from '../../../src/upstream/repository.ts';

const LIMIT_MS = 60_000;
const upstream = { name: 'up' } as UpstreamConfig;
const other = { name: 'other' } as UpstreamConfig;

function created(limitMs = LIMIT_MS) {
  const clock = { nowMs: 0 };
  return { clock, patience: createPatience(() => clock.nowMs, limitMs) };
}

test('an upstream that was silent for the whole limit is given little for a minute, others all of it', () => {
  const { clock, patience } = created();
  expect(patience.timeoutMs(upstream)).toBe(LIMIT_MS);
  patience.timedOut(upstream, LIMIT_MS);
  expect(patience.timeoutMs(upstream)).toBe(3_000);
  expect(patience.timeoutMs(other)).toBe(LIMIT_MS);
  clock.nowMs += 59_999;
  expect(patience.timeoutMs(upstream)).toBe(3_000);
});

test('after that minute one is patient again, and who comes meanwhile is not', () => {
  const { clock, patience } = created();
  patience.timedOut(upstream, LIMIT_MS);
  clock.nowMs += 60_000;
  expect(patience.timeoutMs(upstream)).toBe(LIMIT_MS);
  expect(patience.timeoutMs(upstream)).toBe(3_000);
  clock.nowMs += LIMIT_MS;
  patience.timedOut(upstream, LIMIT_MS);
  expect(patience.timeoutMs(upstream)).toBe(3_000);
});

test('short limits that pass do not make the minute longer, and an answer ends it', () => {
  const { clock, patience } = created();
  patience.timedOut(upstream, LIMIT_MS);
  clock.nowMs += 59_000;
  patience.timedOut(upstream, 3_000);
  clock.nowMs += 1_000;
  expect(patience.timeoutMs(upstream)).toBe(LIMIT_MS);
  patience.answered(upstream);
  expect(patience.timeoutMs(upstream)).toBe(LIMIT_MS);
});

test('a limit that is shorter stays as it is', () => {
  const { patience } = created(500);
  patience.timedOut(upstream, 500);
  expect(patience.timeoutMs(upstream)).toBe(500);
});

afterEach(() => void vi.useRealTimers());

test('a hanging upstream costs the first question the whole limit and the next ones three seconds', async () => {
  vi.useFakeTimers();
  const config: UpstreamConfig = { name: 'up', baseUrl: 'http://127.0.0.1:9', ignoresCase: false };
  const upstreams = new Map([['up', config]]);
  const now = Date.now;
  const client = createUpstream({
    fetch: (_url, { signal }) =>
      new Promise((_resolve, reject) => signal?.addEventListener('abort', () => reject(signal.reason as Error))),
    upstreams,
    now,
    metrics: createMetrics(),
    logger: createLogger({ sink: () => undefined, level: 'error', now, secrets: [] }),
  });
  const parsed = parseRepositoryPath('/git/up/a/b/info/refs', upstreams);
  if (parsed.kind !== 'repository') throw new Error('no repository');
  const { repository } = parsed;
  const asked = async (question: () => Promise<{ readonly kind: string }>): Promise<number> => {
    const startedAtMs = now();
    const answer = question();
    let kind: string | undefined;
    void answer.then((one) => (kind = one.kind));
    while (kind === undefined) await vi.advanceTimersByTimeAsync(100);
    expect(kind).toBe('unavailable');
    return now() - startedAtMs;
  };
  const probe = () => client.probe(repository, { credential: undefined, gitProtocol: 2 });
  const refs = () => client.lsRefs(repository, { prefixes: [], capabilities: [] }, { credential: undefined });
  expect(await asked(probe)).toBe(60_000);
  expect(await asked(refs)).toBe(3_000);
  expect(await asked(probe)).toBe(3_000);
});
