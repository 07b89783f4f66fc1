/** What is known of warming: across restarts, between instances, and to who asks for one repository in the midst of a pass. */
import { expect, test } from 'vitest';
import { createClaims } from '../../../src/jobs/claims.ts';
import type { PeriodicJob } from '../../../src/jobs/periodic.ts';
import type { Storage } from '../../../src/storage/contract.ts';
import { createMemoryStorage } from '../../../src/storage/drivers/memory.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { createMetrics } from '../../../src/telemetry/metrics.ts';
import { repositoryOfName, type Repository } from '../../../src/upstream/repository.ts';
import type { LastingWarm, WarmProgress } from '../../../src/warm/contract.ts';
import { createWarm } from '../../../src/warm/warm.ts';
import { createFakeClock, type FakeClock } from '../jobs/fake-clock.ts';

const UPSTREAMS = new Map([['up', { name: 'up', baseUrl: 'http://up', ignoresCase: false }]]);
const repository = (name: string): Repository => repositoryOfName(name, UPSTREAMS);

interface Town {
  readonly clock: FakeClock;
  readonly storage: Storage;
  /** Names whose mirrors are in the store. */
  readonly here: Set<string>;
  /** Names that were cloned, most cloned first. */
  readonly cloned: string[];
  /** What upstream does; default: at once. */
  work: (name: string) => Promise<void>;
  isKvDown: boolean;
  /** Reading a claim takes so long. */
  slowness: Promise<void>;
}

interface Instance {
  readonly warm: LastingWarm;
  readonly log: string[];
  /** Begins a pass, once `start` was called. */
  readonly pass: () => Promise<unknown>;
}

function createTown(): Town {
  const work = (): Promise<void> => Promise.resolve();
  return {
    clock: createFakeClock(),
    storage: createMemoryStorage(),
    here: new Set(),
    cloned: [],
    work,
    isKvDown: false,
    slowness: Promise.resolve(),
  };
}

/** `lives`: false where it renews nothing, as a process that was killed. */
function createInstance(town: Town, holder: string, { lives = true, mostCloned = 10 } = {}): Instance {
  const { clock, storage } = town;
  const log: string[] = [];
  const jobs: PeriodicJob[] = [];
  const traffic = (): Promise<Map<string, never>> =>
    town.isKvDown ? Promise.reject(new Error('no store')) : Promise.resolve(new Map<string, never>());
  const warm = createWarm(
    {
      storage,
      upstreams: UPSTREAMS,
      upstream: {
        probeAsHotpack: () =>
          Promise.resolve({
            kind: 'ok',
            objectFormat: 'sha1',
            transport: { kind: 'v2', capabilities: [] },
          }),
      },
      mirrorOf: ({ name }) => ({
        fetchWants: async () => 'here' as const,
        lastAskedAtMs: undefined,
        isHere: () => Promise.resolve(town.here.has(name)),
        warm: async () => {
          await town.work(name);
          town.here.add(name);
          return 'cloned';
        },
      }),
      popularity: {
        traffic,
        top: async ({ days }) => {
          await traffic();
          const repos = town.cloned.map((repo, at) => ({ repo, clones: town.cloned.length - at }));
          return { days, from: '2026-11-09', to: '2026-11-22', repos };
        },
      },
      periodic: { add: (job) => jobs.push(job) },
      claims: createClaims({
        storage: {
          readDocument: (...args) => town.slowness.then(() => storage.readDocument(...args)),
          replaceDocument: (...args) => storage.replaceDocument(...args),
          list: (...args) => town.slowness.then(() => storage.list(...args)),
        },
        holder,
        now: clock.now,
        sleep: lives ? clock.sleep : () => new Promise(() => undefined),
      }),
      async *listMirrors() {
        for (const name of town.here) yield { repository: repository(name) };
      },
      fetchTimeoutMs: 60_000,
      cloneTimeoutMs: 60_000,
      now: clock.now,
      logger: createLogger({ sink: (line) => log.push(line), level: 'debug', now: clock.now, secrets: [] }),
      metrics: createMetrics(),
    },
    { mostCloned, windowMs: 14 * 86_400_000, concurrency: 1, intervalMs: 3_600_000 },
  );
  return { warm, log, pass: async () => jobs[0]?.run(new AbortController().signal) };
}

test('what was warmed is known after a restart, as long as its mirror is here', async () => {
  const town = createTown();
  town.cloned.push('up/a', 'up/b');
  const first = createInstance(town, 'first');
  first.warm.start();
  await first.pass();
  expect(first.warm.isWarmed('up/a')).toBe(true);
  town.here.delete('up/b');
  town.here.add('up/by-a-request');
  town.isKvDown = true;
  const second = createInstance(town, 'second');
  expect(second.warm.isWarmed('up/a')).toBe(false);
  second.warm.start();
  await town.clock.advance(1);
  const known = ['up/a', 'up/b', 'up/by-a-request'].filter((name) => second.warm.isWarmed(name));
  expect(known).toEqual(['up/a']);
});

test('what was warmed by hand is known after a restart, without any passes', async () => {
  const town = createTown();
  const first = createInstance(town, 'first', { mostCloned: 0 });
  first.warm.start();
  await first.warm.warmRepository(repository('up/a'));
  town.here.add('up/by-a-request');
  town.isKvDown = true;
  const second = createInstance(town, 'second', { mostCloned: 0 });
  second.warm.start();
  await town.clock.advance(1);
  expect(['up/a', 'up/by-a-request'].filter((name) => second.warm.isWarmed(name))).toEqual(['up/a']);
  expect(await second.pass()).toBeUndefined();
  expect(second.log.join()).not.toContain('no store');
});

test('a pass that failed is told to be repeated, and says why in one line', async () => {
  const town = createTown();
  town.isKvDown = true;
  const one = createInstance(town, 'one');
  one.warm.start();
  expect(await one.pass()).toBe('failed');
  expect(one.log.filter((line) => line.includes('no store'))).toHaveLength(1);
  town.isKvDown = false;
  expect(await one.pass()).toBe('done');
  expect(one.warm.state()).toMatchObject({ running: false, outcome: 'empty_histogram' });
});

test('what nobody expected is said in the log, and to whoever asks only that there was something', async () => {
  const town = createTown();
  town.work = () => Promise.reject(new TypeError('a slip of ours'));
  const one = createInstance(town, 'one');
  const said = await one.warm.warmRepository(repository('up/a'));
  expect(said).toMatchObject({ path: 'clone', status: 'error', error: 'hotpack failed' });
  expect(one.log.filter((line) => line.includes('a slip of ours'))).toHaveLength(1);
});

test('a pass takes over what another instance died of, and does all else meanwhile', async () => {
  const town = createTown();
  town.cloned.push('up/a', 'up/b');
  const killed = createInstance(town, 'killed', { lives: false });
  town.work = () => new Promise(() => undefined);
  void killed.warm.warmRepository(repository('up/a'));
  await town.clock.advance(1);
  town.work = () => Promise.resolve();
  const other = createInstance(town, 'other');
  other.warm.start();
  const passing = other.pass();
  await town.clock.advance(50_000);
  expect(other.warm.state()).toMatchObject({ running: true, repos: [{ repo: 'up/b', path: 'clone', status: 'ok' }] });
  await town.clock.advance(10_000);
  await passing;
  expect(other.warm.state()).toMatchObject({
    running: false,
    outcome: 'complete',
    repos: [{ repo: 'up/b' }, { repo: 'up/a', path: 'clone', status: 'ok' }],
  });
});

test('who asks for one that another instance is at waits as long as that may have died, and says so', async () => {
  const town = createTown();
  const work = Promise.withResolvers<void>();
  town.work = () => work.promise;
  const [one, other] = [createInstance(town, 'one'), createInstance(town, 'other')];
  const busy = one.warm.warmRepository(repository('up/a'));
  await town.clock.advance(1);
  const told: WarmProgress[] = [];
  const asking = other.warm.warmRepository(repository('up/a'), (progress) => told.push(progress));
  await town.clock.advance(20_000);
  expect(await asking).toMatchObject({ path: 'clone', status: 'skipped', error: 'another instance is at it' });
  expect(told).toEqual([{ kind: 'waiting' }]);
  const again = other.warm.warmRepository(repository('up/a'));
  await town.clock.advance(500);
  work.resolve();
  await busy;
  await town.clock.advance(1_000);
  expect(await again).toMatchObject({ path: 'restore', status: 'ok' });
});

test('who asks for one that a pass is about to leave to another instance waits for it all the same', async () => {
  const town = createTown();
  town.cloned.push('up/a');
  const work = Promise.withResolvers<void>();
  town.work = () => work.promise;
  const [one, other] = [createInstance(town, 'one'), createInstance(town, 'other')];
  const busy = one.warm.warmRepository(repository('up/a'));
  await town.clock.advance(1);
  other.warm.start();
  const looking = Promise.withResolvers<void>();
  town.slowness = looking.promise;
  const passing = other.pass();
  await town.clock.advance(1);
  // It joins the pass, which does not wait.
  const asking = other.warm.warmRepository(repository('up/a'));
  await town.clock.advance(1);
  looking.resolve();
  await town.clock.advance(500);
  work.resolve();
  await busy;
  await town.clock.advance(2_000);
  expect((await asking).status).toBe('ok');
  await passing;
  expect(other.warm.state().repos).toMatchObject([{ repo: 'up/a', status: expect.stringMatching(/ok|skipped/) }]);
});
