import { expect, test } from 'vitest';
import { createPeriodicJobs, type PeriodicJob, type PeriodicJobs } from '../../../src/jobs/periodic.ts';
import { createMemoryStorage } from '../../../src/storage/drivers/memory.ts';
import type { Storage } from '../../../src/storage/contract.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { createFakeClock, type FakeClock } from './fake-clock.ts';

const HOUR = 3_600_000;
/** Hours until what was never done is done. */
const FIRST = 5 / 60;

interface Bench {
  readonly clock: FakeClock;
  readonly storage: Storage;
  readonly ran: { readonly name: string; readonly atMs: number }[];
  readonly lines: string[];
  readonly process: (options?: {
    storage?: Pick<Storage, 'readDocument' | 'replaceDocument'>;
    random?: number;
  }) => PeriodicJobs;
  readonly job: (name: string, options?: Partial<PeriodicJob>) => PeriodicJob;
}

function createBench(): Bench {
  const clock = createFakeClock();
  const storage = createMemoryStorage();
  const ran: { name: string; atMs: number }[] = [];
  const lines: string[] = [];
  const startMs = clock.now();
  const logger = createLogger({ sink: (line) => lines.push(line), level: 'debug', now: clock.now, secrets: [] });
  return {
    clock,
    storage,
    ran,
    lines,
    process: (options = {}) =>
      createPeriodicJobs({
        storage: options.storage ?? storage,
        now: clock.now,
        sleep: clock.sleep,
        logger,
        random: () => options.random ?? 0.5,
      }),
    job: (name, options = {}) => ({
      name,
      intervalMs: HOUR,
      runsAtStart: false,
      run: () => {
        ran.push({ name, atMs: clock.now() - startMs });
        return Promise.resolve('done' as const);
      },
      ...options,
    }),
  };
}

const timesOf = (bench: Bench, name: string): number[] =>
  bench.ran.filter((one) => one.name === name).map((one) => one.atMs / HOUR);

test('a job is done soon after the first start, then every interval, and a restart does not forget when it last was', async () => {
  const bench = createBench();
  const first = bench.process();
  first.add(bench.job('tidy'));
  await bench.clock.advance(1.5 * HOUR);
  expect(timesOf(bench, 'tidy')).toEqual([FIRST, 1 + FIRST]);
  await first.stop();
  const second = bench.process();
  second.add(bench.job('tidy'));
  await bench.clock.advance(0.5 * HOUR);
  expect(timesOf(bench, 'tidy')).toEqual([FIRST, 1 + FIRST]);
  await bench.clock.advance(0.2 * HOUR);
  expect(timesOf(bench, 'tidy')).toEqual([FIRST, 1 + FIRST, 2 + FIRST]);
  await second.stop();
  await bench.clock.advance(10 * HOUR);
  expect(timesOf(bench, 'tidy')).toHaveLength(3);
});

test('jitter moves a run by a tenth of the interval at most', async () => {
  const bench = createBench();
  for (const [name, random] of [
    ['early', 0],
    ['late', 0.999_999],
  ] as const) {
    bench.process({ random }).add(bench.job(name, { runsAtStart: true }));
  }
  await bench.clock.advance(1.2 * HOUR);
  expect(timesOf(bench, 'early')).toEqual([0, expect.closeTo(0.9, 3)]);
  expect(timesOf(bench, 'late')).toEqual([0, expect.closeTo(1.1, 3)]);
});

test('of three instances over one store one runs each time, and another one when that has died', async () => {
  const bench = createBench();
  const by: string[] = [];
  const instances = [0.2, 0.5, 0.8].map((random, i) => {
    const one = bench.process({ random });
    one.add(bench.job('pass', { run: () => (by.push(`i${i}`), Promise.resolve('done' as const)) }));
    return one;
  });
  await bench.clock.advance(3 * HOUR);
  expect(by).toEqual(['i0', 'i0', 'i0', 'i0']);
  await instances[0]?.stop();
  await bench.clock.advance(2.1 * HOUR);
  expect(by).toEqual(['i0', 'i0', 'i0', 'i0', 'i1', 'i1']);
});

test('a job for the start runs at every start, and only then where it has no interval', async () => {
  const bench = createBench();
  for (let start = 0; start < 2; start++) {
    const one = bench.process();
    one.add(bench.job('once', { runsAtStart: true, intervalMs: 0 }));
    one.add(bench.job('often', { runsAtStart: true }));
    await bench.clock.advance(1.5 * HOUR);
    await one.stop();
  }
  expect(timesOf(bench, 'once')).toEqual([0, 1.5]);
  expect(timesOf(bench, 'often')).toEqual([0, 1, 1.5, 2.5]);
});

test('a job that throws or hangs hurts no other, and comes again', async () => {
  const bench = createBench();
  let tries = 0;
  let wasAborted = false;
  const one = bench.process();
  one.add(bench.job('throws', { run: () => Promise.reject(new Error(`crash ${++tries}`)) }));
  one.add(
    bench.job('hangs', {
      run: (signal) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => {
            wasAborted = true;
            reject(signal.reason as Error);
          });
        }),
    }),
  );
  one.add(bench.job('works'));
  await bench.clock.advance(2.5 * HOUR);
  expect(timesOf(bench, 'works')).toEqual([FIRST, 1 + FIRST, 2 + FIRST]);
  // After 1, 2, 4, 8, 16 and 32 minutes, then every hour.
  expect(tries).toBe(8);
  expect(bench.lines.filter((line) => line.includes('crash')).length).toBe(8);
  await one.stop();
  expect(wasAborted).toBe(true);
});

test('what failed at the only start there is comes again until it went well, then never', async () => {
  const bench = createBench();
  const one = bench.process();
  const times: number[] = [];
  const startMs = bench.clock.now();
  one.add(
    bench.job('once', {
      runsAtStart: true,
      intervalMs: 0,
      run: () => {
        times.push((bench.clock.now() - startMs) / 60_000);
        return Promise.resolve(times.length < 4 ? 'failed' : 'done');
      },
    }),
  );
  await bench.clock.advance(10 * HOUR);
  expect(times).toEqual([0, 1, 3, 7]);
  expect(bench.lines).toEqual([]);
  await one.stop();
});

test('what failed here and was done elsewhere waits for its next time', async () => {
  const bench = createBench();
  const by: string[] = [];
  const add = (name: string, outcomes: ('failed' | 'done')[]): PeriodicJobs => {
    const one = bench.process();
    const run = () => (by.push(name), Promise.resolve(outcomes.shift() ?? 'done'));
    one.add(bench.job('pass', { runsAtStart: true, run }));
    return one;
  };
  const first = add('first', ['failed']);
  await bench.clock.advance(30_000);
  const second = add('second', ['done']);
  await bench.clock.advance(0.9 * HOUR);
  expect(by).toEqual(['first', 'second']);
  await Promise.all([first.stop(), second.stop()]);
});

test('a trigger from outside does what is due, what was never done too, and waits for what is under way', async () => {
  const bench = createBench();
  const one = bench.process();
  let end = (): void => undefined;
  const long = bench.job('long', {
    intervalMs: 0,
    runsAtStart: true,
    run: () => new Promise((resolve) => (end = () => resolve('done'))),
  });
  one.add(bench.job('tidy'));
  one.add(long);
  await bench.clock.advance(1);
  const triggered = one.runDue();
  let isOver = false;
  void triggered.then(() => (isOver = true));
  await bench.clock.advance(1);
  expect(timesOf(bench, 'tidy')).toHaveLength(1);
  expect(isOver).toBe(false);
  end();
  await triggered;
  // Done a moment ago, also as the loop and another instance see it.
  await one.runDue();
  const other = bench.process();
  other.add(bench.job('tidy'));
  await other.runDue();
  await bench.clock.advance(0.5 * HOUR);
  expect(timesOf(bench, 'tidy')).toHaveLength(1);
  await bench.clock.advance(0.55 * HOUR);
  expect(timesOf(bench, 'tidy')).toHaveLength(2);
  await Promise.all([one.stop(), other.stop()]);
});

test('a store that gives no answer does not keep a job from running, nor make it run all the time', async () => {
  const bench = createBench();
  const broken = {
    readDocument: () => Promise.reject(new Error('no disk')),
    replaceDocument: () => Promise.reject(new Error('no disk')),
  };
  const one = bench.process({ storage: broken });
  one.add(bench.job('pass', { runsAtStart: true }));
  await bench.clock.advance(2.5 * HOUR);
  expect(timesOf(bench, 'pass')).toEqual([0, 1, 2]);
  await one.stop();
});

test('a last run in the time to come, or one that cannot be read, is as none', async () => {
  const bench = createBench();
  const write = (name: string, text: string): Promise<unknown> =>
    bench.storage.replaceDocument(`jobs/periodic/${name}`, new TextEncoder().encode(text), 'absent');
  await write('ahead', JSON.stringify({ startedAtMs: bench.clock.now() + 1_000 * HOUR }));
  await write('torn', '{"startedAt');
  const one = bench.process();
  one.add(bench.job('ahead'));
  one.add(bench.job('torn'));
  await bench.clock.advance(1.5 * HOUR);
  expect(timesOf(bench, 'ahead')).toEqual([1]);
  expect(timesOf(bench, 'torn')).toEqual([FIRST, 1 + FIRST]);
  await one.stop();
});
