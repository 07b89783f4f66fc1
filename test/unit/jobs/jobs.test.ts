import { describe, expect, it } from 'vitest';
import { createJobs } from '../../../src/jobs/jobs.ts';
import type { Job, JobPriority } from '../../../src/jobs/job.ts';

/** Jobs that wait to be told how to end, and a log of what started. */
function createBench() {
  const started: string[] = [];
  const controls = new Map<
    string,
    {
      resolve: (value: string) => void;
      reject: (error: Error) => void;
      signal: AbortSignal;
      report: (progress: unknown) => void;
    }
  >();
  const job = (key: string, options: Partial<Job<string>> = {}): Job<string> => ({
    kind: 'update',
    repo: key,
    key,
    priority: 'soon',
    abandonWhenUnwatched: false,
    run: (signal, report) =>
      new Promise((resolve, reject) => {
        started.push(key);
        controls.set(key, { resolve, reject, signal, report });
        signal.addEventListener('abort', () => reject(signal.reason));
      }),
    ...options,
  });
  const control = (key: string) => {
    const found = controls.get(key);
    if (found === undefined) throw new Error(`${key} has not started`);
    return found;
  };
  return { started, job, control };
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('jobs', () => {
  it('run at most so many at once, those that clients wait for first, then in order', async () => {
    const { started, job, control } = createBench();
    const jobs = createJobs({ concurrency: 1, cloneConcurrency: 1 });
    const priorities: JobPriority[] = ['soon', 'background', 'soon', 'client-waits', 'background', 'client-waits'];
    const handles = priorities.map((priority, i) => jobs.submit(job(`j${i}`, { priority })));
    const order = ['j0', 'j3', 'j5', 'j2', 'j1', 'j4'];
    for (const [i, key] of order.entries()) {
      await settle();
      expect(started).toEqual(order.slice(0, i + 1));
      expect(jobs.snapshot()).toMatchObject({ running: 1, waiting: 5 - i, done: i });
      control(key).resolve(`result of ${key}`);
    }
    expect(await Promise.all(handles.map((handle) => handle.done))).toEqual(
      priorities.map((_, i) => ({ kind: 'done', value: `result of j${i}` })),
    );
    expect(jobs.snapshot()).toEqual({ waiting: 0, running: 0, runningClones: 0, done: 6, failed: 0, aborted: 0 });
  });

  it('that started in the background take no more than their places, whoever joins them', async () => {
    const { started, job, control } = createBench();
    const jobs = createJobs({ concurrency: 4, cloneConcurrency: 2, backgroundConcurrency: 1 });
    const background = { kind: 'fill', priority: 'background' } as const;
    for (const key of ['b1', 'b2', 'b3']) jobs.submit(job(key, background));
    jobs.submit(job('b1', { kind: 'fill', priority: 'client-waits' }));
    jobs.submit(job('b3', { kind: 'fill', priority: 'client-waits' }));
    jobs.submit(job('soon', { kind: 'fill' }));
    await settle();
    // What a client waits for is in the background no more; b1 took its place there when it started.
    expect(started).toEqual(['b1', 'b3']);
    control('b3').resolve('done');
    await settle();
    expect(started).toEqual(['b1', 'b3', 'soon']);
    control('soon').resolve('done');
    await settle();
    expect(started).not.toContain('b2');
    control('b1').resolve('done');
    await settle();
    expect(started).toEqual(['b1', 'b3', 'soon', 'b2']);
    control('b2').resolve('done');
    expect(() => createJobs({ concurrency: 1, cloneConcurrency: 1, backgroundConcurrency: 0 })).toThrow(/whole number/);
  });

  it('of one repository never run together, and hold up no other', async () => {
    const { started, job, control } = createBench();
    const jobs = createJobs({ concurrency: 4, cloneConcurrency: 4 });
    jobs.submit(job('a1', { repo: 'a', priority: 'background' }));
    jobs.submit(job('a2', { repo: 'a' }));
    jobs.submit(job('a3', { repo: 'a', priority: 'client-waits' }));
    jobs.submit(job('b1', { repo: 'b', priority: 'background' }));
    await settle();
    expect(started).toEqual(['a1', 'b1']);
    control('a1').resolve('');
    await settle();
    expect(started).toEqual(['a1', 'b1', 'a3']);
    control('a3').reject(new Error('broken'));
    await settle();
    expect(started).toEqual(['a1', 'b1', 'a3', 'a2']);
  });

  it('of the cloning kind have a lower limit that others pass by', async () => {
    const { started, job, control } = createBench();
    const jobs = createJobs({ concurrency: 3, cloneConcurrency: 1 });
    for (const key of ['f1', 'f2', 'f3']) jobs.submit(job(key, { kind: 'fill', priority: 'client-waits' }));
    for (const key of ['u1', 'u2', 'u3']) jobs.submit(job(key, { priority: 'background' }));
    await settle();
    expect(started).toEqual(['f1', 'u1', 'u2']);
    expect(jobs.snapshot()).toMatchObject({ running: 3, runningClones: 1, waiting: 3 });
    control('u1').resolve('');
    await settle();
    expect(started).toEqual(['f1', 'u1', 'u2', 'u3']);
    control('f1').resolve('');
    await settle();
    expect(started).toEqual(['f1', 'u1', 'u2', 'u3', 'f2']);
  });

  it('with one key are one job, whose priority the highest asker sets', async () => {
    const { started, job, control } = createBench();
    const jobs = createJobs({ concurrency: 1, cloneConcurrency: 1 });
    jobs.submit(job('busy'));
    jobs.submit(job('soon'));
    const progress: unknown[] = [];
    const first = jobs.submit(job('same', { priority: 'background' }), (value) => progress.push(['first', value]));
    const second = jobs.submit(job('same', { priority: 'client-waits' }), (value) => progress.push(['second', value]));
    expect([first.joined, second.joined]).toEqual([false, true]);
    await settle();
    control('busy').resolve('');
    await settle();
    expect(started).toEqual(['busy', 'same']);
    const third = jobs.submit(job('same', { priority: 'background' }));
    control('same').report(50);
    control('same').resolve('shared');
    for (const handle of [first, second, third]) expect(await handle.done).toEqual({ kind: 'done', value: 'shared' });
    expect(progress).toEqual([
      ['first', 50],
      ['second', 50],
    ]);
    // Ended: the same key is a new job.
    expect(jobs.submit(job('same')).joined).toBe(false);
  });

  it('that throw hurt no other, nor do callbacks that throw', async () => {
    const { job, control } = createBench();
    const broken = (): never => {
      throw new Error('callback');
    };
    const jobs = createJobs({ concurrency: 1, cloneConcurrency: 1, events: { started: broken, ended: broken } });
    const thrown = jobs.submit(
      job('sync', {
        run: () => {
          throw new Error('at once');
        },
      }),
    );
    const rejected = jobs.submit(job('async', { run: () => Promise.reject(new Error('later')) }));
    const fine = jobs.submit(job('fine'), broken);
    expect(await thrown.done).toMatchObject({ kind: 'failed', error: { message: 'at once' } });
    expect(await rejected.done).toMatchObject({ kind: 'failed', error: { message: 'later' } });
    await settle();
    control('fine').report(1);
    control('fine').resolve('ok');
    expect(await fine.done).toEqual({ kind: 'done', value: 'ok' });
    expect(jobs.snapshot()).toMatchObject({ done: 1, failed: 2 });
  });

  it('go on when one of several leaves, and are abandoned with the last, if they say so', async () => {
    const { job, control } = createBench();
    const jobs = createJobs({ concurrency: 1, cloneConcurrency: 1 });
    const watched = job('watched', { abandonWhenUnwatched: true });
    const first = jobs.submit(watched);
    const second = jobs.submit(watched);
    await settle();
    first.cancel();
    first.cancel();
    expect(await first.done).toMatchObject({ kind: 'aborted', reason: { code: 'aborted' } });
    expect(control('watched').signal.aborted).toBe(false);
    second.cancel();
    expect(control('watched').signal.aborted).toBe(true);
    await settle();
    expect(jobs.snapshot()).toMatchObject({ running: 0, aborted: 1 });

    const kept = jobs.submit(job('kept', { abandonWhenUnwatched: true }));
    const keeper = jobs.submit(job('kept', { abandonWhenUnwatched: false }));
    await settle();
    kept.cancel();
    keeper.cancel();
    expect(control('kept').signal.aborted).toBe(false);
    control('kept').resolve('');
    await settle();
    expect(jobs.snapshot()).toMatchObject({ running: 0, done: 1, aborted: 1 });
  });

  it('drop a waiting job that nobody waits for', async () => {
    const { started, job, control } = createBench();
    const jobs = createJobs({ concurrency: 1, cloneConcurrency: 1 });
    await jobs.submit(job('busy')).started;
    const waiting = jobs.submit(job('waiting', { abandonWhenUnwatched: true }));
    let isPast = false;
    void waiting.started.then(() => (isPast = true));
    await settle();
    expect(isPast).toBe(false);
    waiting.cancel();
    await settle();
    expect(isPast).toBe(true);
    control('busy').resolve('');
    await settle();
    expect(started).toEqual(['busy']);
    expect(jobs.snapshot()).toMatchObject({ waiting: 0, running: 0, done: 1, aborted: 1 });
  });

  it('keep their repository after an abort until they have ended, while the same key starts anew', async () => {
    const { started, job, control } = createBench();
    const jobs = createJobs({ concurrency: 4, cloneConcurrency: 4 });
    const ending = Promise.withResolvers<string>();
    const slow = jobs.submit(job('same', { abandonWhenUnwatched: true, run: () => ending.promise }));
    await settle();
    slow.cancel();
    const again = jobs.submit(job('same'));
    expect(again.joined).toBe(false);
    await settle();
    expect(started).toEqual([]);
    ending.resolve('too late');
    await settle();
    expect(started).toEqual(['same']);
    control('same').resolve('second');
    expect(await again.done).toEqual({ kind: 'done', value: 'second' });
  });

  it('drain: waiting ones are dropped, running ones get their time, then their signal', async () => {
    const { job, control } = createBench();
    const jobs = createJobs({ concurrency: 2, cloneConcurrency: 2 });
    const ends = jobs.submit(job('ends'));
    const hangs = jobs.submit(job('hangs'));
    const waits = jobs.submit(job('waits'));
    await settle();
    const drained = jobs.drain({ timeoutMs: 20 });
    expect(() => jobs.submit(job('late'))).toThrow(expect.objectContaining({ code: 'shutting_down' }));
    expect(await waits.done).toMatchObject({ kind: 'aborted', reason: { code: 'shutting_down' } });
    await waits.started;
    control('ends').resolve('in time');
    expect(await ends.done).toEqual({ kind: 'done', value: 'in time' });
    expect(await hangs.done).toMatchObject({ kind: 'aborted', reason: { code: 'shutting_down' } });
    expect(await drained).toEqual({ abandoned: 0 });
    expect(jobs.snapshot()).toEqual({ waiting: 0, running: 0, runningClones: 0, done: 1, failed: 0, aborted: 2 });
  });

  it('drain at once when nothing runs, and give up on what ignores its signal', async () => {
    const { job } = createBench();
    const idle = createJobs({ concurrency: 1, cloneConcurrency: 1 });
    expect(await idle.drain({ timeoutMs: 1_000_000 })).toEqual({ abandoned: 0 });
    const stuck = createJobs({ concurrency: 1, cloneConcurrency: 1 });
    stuck.submit(job('deaf', { run: () => new Promise(() => undefined) }));
    await settle();
    expect(await stuck.drain({ timeoutMs: 0, graceMs: 1 })).toEqual({ abandoned: 1 });
  });

  it('tell when they start and end', async () => {
    const { job, control } = createBench();
    let nowMs = 0;
    const events: unknown[] = [];
    const jobs = createJobs({
      concurrency: 1,
      cloneConcurrency: 1,
      now: () => nowMs,
      events: {
        started: ({ key }, waitedMs) => events.push(['started', key, waitedMs]),
        ended: ({ key }, { kind }, ranMs) => events.push(['ended', key, kind, ranMs]),
      },
    });
    jobs.submit(job('a'));
    jobs.submit(job('b'));
    await settle();
    nowMs = 7;
    control('a').resolve('');
    await settle();
    nowMs = 10;
    control('b').reject(new Error('no'));
    await settle();
    expect(events).toEqual([
      ['started', 'a', 0],
      ['ended', 'a', 'done', 7],
      ['started', 'b', 7],
      ['ended', 'b', 'failed', 3],
    ]);
  });

  it.each([{ concurrency: 0 }, { cloneConcurrency: 0 }, { concurrency: 1.5 }])('refuse %o', (limits) => {
    expect(() => createJobs({ concurrency: 1, cloneConcurrency: 1, ...limits })).toThrow(
      expect.objectContaining({ code: 'invalid_argument' }),
    );
  });
});
