import { getEventListeners } from 'node:events';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { abortError, createDeadline, raceSignal, sleep } from '../../../src/bytes/abort.ts';
import { HotpackError } from '../../../src/bytes/error.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe('createDeadline', () => {
  it('fires with a timeout that names the operation, once the time is up', () => {
    const deadline = createDeadline({ timeoutMs: 50, operation: 'ls-refs' });
    vi.advanceTimersByTime(49);
    expect(deadline.signal.aborted).toBe(false);
    vi.advanceTimersByTime(1);
    expect(abortError(deadline.signal)).toMatchObject({
      code: 'timeout',
      detail: { operation: 'ls-refs', timeoutMs: 50 },
    });
  });

  it('fires with its first parent and leaves neither timer nor listener', () => {
    const parents = [new AbortController(), new AbortController()];
    const signals = parents.map((parent) => parent.signal);
    const deadline = createDeadline({ parents: [undefined, ...signals], timeoutMs: 50 });
    expect(vi.getTimerCount()).toBe(1);
    parents[1]?.abort(new HotpackError('shutting_down', 'bye'));
    expect(abortError(deadline.signal)).toMatchObject({ code: 'shutting_down' });
    expect(vi.getTimerCount()).toBe(0);
    for (const signal of signals) expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });

  it('never fires after it was disposed of', () => {
    const parent = new AbortController();
    const deadline = createDeadline({ parents: [parent.signal], timeoutMs: 50 });
    deadline.dispose();
    deadline.dispose();
    expect(vi.getTimerCount()).toBe(0);
    parent.abort();
    expect(deadline.signal.aborted).toBe(false);
  });

  it('does not count the time in which it stands still, and goes on with what was left', async () => {
    const parent = new AbortController();
    const deadline = createDeadline({ parents: [parent.signal], timeoutMs: 50 });
    vi.advanceTimersByTime(30);
    const waits = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    for (const { promise } of waits) deadline.standStill(promise);
    vi.advanceTimersByTime(1000);
    waits[0]?.resolve();
    await vi.advanceTimersByTimeAsync(1000);
    waits[1]?.reject(new Error('no place'));
    await vi.advanceTimersByTimeAsync(19);
    expect(deadline.signal.aborted).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(abortError(deadline.signal)).toMatchObject({ code: 'timeout', detail: { timeoutMs: 50 } });

    const ended = createDeadline({ parents: [parent.signal], timeoutMs: 50 });
    const disposed = createDeadline({ timeoutMs: 50 });
    const wait = Promise.withResolvers<void>();
    for (const one of [ended, disposed]) one.standStill(wait.promise);
    disposed.dispose();
    parent.abort();
    expect(ended.signal.aborted).toBe(true);
    wait.resolve();
    await vi.advanceTimersByTimeAsync(0);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('has fired where a parent had, or no time is left; and takes limits beyond a timer', () => {
    expect(createDeadline({ parents: [AbortSignal.abort()] }).signal.aborted).toBe(true);
    expect(abortError(createDeadline({ timeoutMs: 0 }).signal).code).toBe('timeout');
    const far = createDeadline({ timeoutMs: 2 ** 40 });
    vi.advanceTimersByTime(1000);
    expect(far.signal.aborted).toBe(false);
    far.dispose();
  });
});

describe('raceSignal', () => {
  it('gives what the promise gives and leaves no listener', async () => {
    const { signal } = new AbortController();
    expect(await raceSignal(Promise.resolve(5), signal)).toBe(5);
    await expect(raceSignal(Promise.reject(new Error('own')), signal)).rejects.toThrow('own');
    await Promise.resolve();
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });

  it('rejects as soon as the signal fires, or at once where it has', async () => {
    const controller = new AbortController();
    const late = Promise.withResolvers<void>();
    const racing = raceSignal(late.promise, controller.signal);
    controller.abort('left');
    await expect(racing).rejects.toMatchObject({ code: 'aborted', cause: 'left' });
    late.reject(new Error('nobody hears this'));
    await expect(raceSignal(Promise.reject(new Error('nor this')), controller.signal)).rejects.toMatchObject({
      code: 'aborted',
    });
  });
});

describe('sleep', () => {
  it('ends by time or by signal, without a timer left', async () => {
    const slept = sleep(10);
    vi.advanceTimersByTime(10);
    await slept;
    const controller = new AbortController();
    const woken = sleep(10, controller.signal);
    controller.abort();
    await expect(woken).rejects.toMatchObject({ code: 'aborted' });
    await expect(sleep(10, controller.signal)).rejects.toMatchObject({ code: 'aborted' });
    expect(vi.getTimerCount()).toBe(0);
  });
});
