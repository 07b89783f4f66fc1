/** Which repositories a pass warms, in which order, and what it does where something fails, over fakes. */
import { expect, test } from 'vitest';
import type { Popularity, Traffic } from '../../../src/popularity/contract.ts';
import { createMemoryStorage } from '../../../src/storage/drivers/memory.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { repositoryOfName } from '../../../src/upstream/repository.ts';
import type { WarmStatus } from '../../../src/warm/contract.ts';
import { runPass, type PassDeps, type PassOptions } from '../../../src/warm/pass.ts';

const UPSTREAMS = new Map([['up', { name: 'up', baseUrl: 'http://up', ignoresCase: false }]]);
const DAY_MS = 86_400_000;

interface Bench {
  readonly deps: PassDeps;
  readonly lines: string[];
  /** `start NAME` and `end NAME`, in order. */
  readonly steps: string[];
  readonly questions: string[];
  readonly statuses: Map<string, WarmStatus>;
  /** What another instance is at. */
  readonly held: Set<string>;
  nowMs: number;
}

interface Facts {
  readonly clones?: Readonly<Record<string, number>>;
  readonly requests?: Record<string, number>;
  readonly here?: readonly string[];
  readonly overrides?: Partial<PassDeps>;
}

function createBench({ clones = {}, requests = {}, here = [], overrides = {} }: Facts): Bench {
  const lines: string[] = [];
  const steps: string[] = [];
  const questions: string[] = [];
  const statuses = new Map<string, WarmStatus>();
  const held = new Set<string>();
  const now = (): number => bench.nowMs;
  const popularity: Pick<Popularity, 'top' | 'traffic'> = {
    top: ({ days }) => {
      questions.push(`top ${days}`);
      const repos = Object.entries(clones)
        .map(([repo, count]) => ({ repo, clones: count }))
        .toSorted((left, right) => right.clones - left.clones || (left.repo < right.repo ? -1 : 1));
      return Promise.resolve({ days, from: '2026-11-09', to: '2026-11-22', repos } as Awaited<
        ReturnType<Popularity['top']>
      >);
    },
    traffic: (days) => {
      questions.push(`traffic ${days}`);
      return Promise.resolve(new Map(Object.entries(requests).map(([repo, count]) => [repo, trafficOf(count)])));
    },
  };
  const bench: Bench = {
    lines,
    steps,
    questions,
    statuses,
    held,
    nowMs: 1_000 * DAY_MS,
    deps: {
      storage: createMemoryStorage(),
      upstreams: UPSTREAMS,
      popularity,
      now,
      logger: createLogger({ sink: (line) => lines.push(line), level: 'debug', now, secrets: [] }),
      async *listMirrors() {
        for (const name of here) yield { repository: repositoryOfName(name, UPSTREAMS) };
      },
      warm: async ({ repository: { name }, wasHere }, { waits }) => {
        if (held.has(name) && !waits) {
          steps.push(`held ${name}`);
          return { kind: 'held' };
        }
        steps.push(`${held.has(name) ? 'wait' : 'start'} ${name}`);
        await new Promise((resolve) => setImmediate(resolve));
        steps.push(`end ${name}`);
        const status = statuses.get(name) ?? 'ok';
        return { kind: 'ended', result: { repo: name, path: wasHere ? 'fetch' : 'clone', status, ms: 1 } };
      },
      ...overrides,
    },
  };
  return bench;
}

function trafficOf(count: number): Traffic {
  const requests = { 'pack-cache': 0, mirror: count, upstream: 0 };
  return { requests, bytes: requests, shapes: [] };
}

function run(bench: Bench, options: Partial<PassOptions> = {}, signal?: AbortSignal): Promise<string> {
  const all = { mostCloned: 2, windowDays: 14, concurrency: 1, histogramTimeoutMs: 1_000, ...options };
  return runPass(bench.deps, all, signal ?? new AbortController().signal);
}

const started = (bench: Bench): string[] =>
  bench.steps.filter((step) => step.startsWith('start ')).map((step) => step.slice('start up/'.length));

test('mirrors that were asked for come first, most asked first; then the most cloned that were not tried yet', async () => {
  const bench = createBench({
    clones: { 'up/new': 9, 'up/top': 8, 'up/third': 7 },
    requests: { 'up/top': 10, 'up/busy': 50, 'up/elsewhere': 99 },
    here: ['up/busy', 'up/idle', 'up/top'],
  });
  expect(await run(bench)).toBe('complete');
  expect(started(bench)).toEqual(['busy', 'top', 'new']);
  expect(bench.questions).toEqual(['top 14', 'traffic 14']);
});

test('step 2 begins when step 1 has ended, and never more work at once than it may', async () => {
  const bench = createBench({
    clones: { 'up/n1': 9, 'up/n2': 8, 'up/n3': 7, 'up/n4': 6 },
    requests: { 'up/h1': 3, 'up/h2': 2, 'up/h3': 1 },
    here: ['up/h1', 'up/h2', 'up/h3'],
  });
  await run(bench, { mostCloned: 4, concurrency: 2 });
  let running = 0;
  let most = 0;
  for (const step of bench.steps) {
    running += step.startsWith('start') ? 1 : -1;
    most = Math.max(most, running);
  }
  expect(most).toBe(2);
  const lastOfFirst = Math.max(...['h1', 'h2', 'h3'].map((name) => bench.steps.indexOf(`end up/${name}`)));
  expect(bench.steps.indexOf('start up/n1')).toBeGreaterThan(lastOfFirst);
});

test('what another instance is at is waited for when all else is done, and gone there is gone here', async () => {
  const bench = createBench({
    clones: { 'up/n1': 9, 'up/n2': 8 },
    requests: { 'up/h1': 2, 'up/h2': 1 },
    here: ['up/h1', 'up/h2'],
  });
  bench.held.add('up/h1').add('up/n1');
  bench.statuses.set('up/n1', 'gone');
  expect(await run(bench)).toBe('complete');
  const steps = [
    'held h1',
    'start h2',
    'end h2',
    'held n1',
    'start n2',
    'end n2',
    'wait h1',
    'end h1',
    'wait n1',
    'end n1',
  ];
  expect(bench.steps.map((step) => step.replace('up/', ''))).toEqual(steps);
  bench.held.clear();
  bench.steps.length = 0;
  await run(bench);
  expect(started(bench)).toEqual(['h1', 'h2', 'n2']);
});

test('N above the number of repositories takes them all; names of other upstreams take no place', async () => {
  const bench = createBench({ clones: { 'gone.example/x': 99, 'up/../x': 98, 'up/a': 2, 'up/b': 1 } });
  expect(await run(bench, { mostCloned: 1_000 })).toBe('complete');
  expect(started(bench)).toEqual(['a', 'b']);
  const one = createBench({ clones: { 'gone.example/x': 99, 'up/a': 2, 'up/b': 1 } });
  await run(one, { mostCloned: 1 });
  expect(started(one)).toEqual(['a']);
});

test('nothing counted is an empty histogram', async () => {
  const bench = createBench({ here: ['up/a'] });
  expect(await run(bench)).toBe('empty_histogram');
  expect(bench.steps).toEqual([]);
  expect(bench.lines).toEqual([]);
});

test('what is gone makes room for the next one, until somebody is answered about it', async () => {
  const requests: Record<string, number> = { 'up/gone': 5 };
  const bench = createBench({ clones: { 'up/gone': 9, 'up/denied': 8, 'up/third': 7 }, requests });
  bench.statuses.set('up/gone', 'gone').set('up/denied', 'no_access');
  await run(bench);
  expect(started(bench)).toEqual(['gone', 'denied']);
  bench.steps.length = 0;
  await run(bench);
  expect(started(bench)).toEqual(['denied', 'third']);
  bench.steps.length = 0;
  bench.nowMs += DAY_MS;
  requests['up/gone'] = 6;
  bench.statuses.set('up/gone', 'ok');
  await run(bench);
  expect(started(bench)).toEqual(['gone', 'denied']);
  // It is back for good: it is on no list any more.
  requests['up/gone'] = 1;
  bench.steps.length = 0;
  await run(bench);
  expect(started(bench)).toEqual(['gone', 'denied']);
});

test('a key-value store that fails ends the pass, and so does one that hangs', async () => {
  const failing = { top: () => Promise.reject(new Error('down')), traffic: () => Promise.reject(new Error('down')) };
  await expect(run(createBench({ overrides: { popularity: failing } }))).rejects.toThrow('down');
  const hanging = { top: () => new Promise<never>(() => undefined), traffic: failing.traffic };
  const bench = createBench({ overrides: { popularity: hanging } });
  await expect(run(bench, { histogramTimeoutMs: 20 })).rejects.toMatchObject({ code: 'timeout' });
  expect(bench.steps).toEqual([]);
});

test('a store that takes no documents keeps nothing from being warmed', async () => {
  const refuse = (): Promise<never> => Promise.reject(new Error('read-only'));
  const bench = createBench({
    clones: { 'up/a': 2, 'up/b': 1 },
    overrides: { storage: { readDocument: refuse, replaceDocument: refuse } },
  });
  bench.statuses.set('up/a', 'gone');
  expect(await run(bench)).toBe('complete');
  expect(started(bench)).toEqual(['a', 'b']);
  expect(bench.lines.join()).toContain('read-only');
});

test('a signal in mid-pass ends it, and nothing else is begun', async () => {
  const controller = new AbortController();
  const bench = createBench({ clones: { 'up/a': 3, 'up/b': 2 } });
  const deps: PassDeps = {
    ...bench.deps,
    warm: (candidate, how) => {
      controller.abort(new Error('stop'));
      return bench.deps.warm(candidate, how);
    },
  };
  await expect(run({ ...bench, deps }, {}, controller.signal)).rejects.toMatchObject({ code: 'aborted' });
  expect(started(bench)).toEqual(['a']);
});
