/**
 * Signals: combined, timed, raced against. Nothing here leaves a listener or a timer behind once its work is done: each
 * `Deadline` MUST be disposed of (`using`-style `dispose()` in a `finally`).
 *
 * Why a signal fired is told by its `reason`: `createDeadline` aborts with a HotpackError `timeout`; any other reason
 * becomes `aborted`, with the reason as cause.
 */
import { HotpackError, isHotpackError } from './error.ts';

export interface Deadline {
  /** Fires with the first of the parents' signals, or with HotpackError `timeout` when the time is up. */
  readonly signal: AbortSignal;
  /** The time until `settled` has settled does not count; parents' signals do. Of several at once all must have settled. */
  standStill(settled: Promise<unknown>): void;
  /** Clears the timer and the listeners; the signal never fires afterwards. Idempotent. */
  dispose(): void;
}

export interface DeadlineOptions {
  readonly parents?: readonly (AbortSignal | undefined)[];
  /** Milliseconds from now; absent: no time limit. 0 or less fires at once. */
  readonly timeoutMs?: number | undefined;
  /** What took too long, for the error: "ls-refs". */
  readonly operation?: string;
}

/** A signal of one operation, out of its parents' and a time limit. */
export function createDeadline(options: DeadlineOptions): Deadline {
  const { timeoutMs, operation = 'operation' } = options;
  const parents = (options.parents ?? []).filter((parent) => parent !== undefined);
  const controller = new AbortController();
  const listeners: (() => void)[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;
  let leftMs = timeoutMs;
  let runsSinceMs = 0;
  let standingStill = 0;
  let isOver = false;

  function dispose(): void {
    isOver = true;
    if (timer !== undefined) clearTimeout(timer);
    timer = undefined;
    for (const remove of listeners.splice(0)) remove();
  }
  function run(): void {
    // A timer takes at most 2^31 - 1 ms (24.8 days); beyond it fires at once, so more means none.
    if (isOver || controller.signal.aborted || leftMs === undefined || leftMs >= 2 ** 31) return;
    runsSinceMs = performance.now();
    timer = setTimeout(() => fire(timeoutError(operation, timeoutMs ?? 0)), leftMs);
  }
  function standStill(settled: Promise<unknown>): void {
    standingStill++;
    if (timer !== undefined && leftMs !== undefined) {
      clearTimeout(timer);
      timer = undefined;
      leftMs -= performance.now() - runsSinceMs;
    }
    const goOn = (): void => {
      if (--standingStill === 0) run();
    };
    settled.then(goOn, goOn);
  }
  function fire(reason: unknown): void {
    dispose();
    controller.abort(reason);
  }

  const fired = parents.find((parent) => parent.aborted);
  if (fired !== undefined) {
    controller.abort(fired.reason);
  } else if (timeoutMs !== undefined && timeoutMs <= 0) {
    controller.abort(timeoutError(operation, timeoutMs));
  } else {
    for (const parent of parents) {
      const onAbort = (): void => fire(parent.reason);
      parent.addEventListener('abort', onAbort, { once: true });
      listeners.push(() => parent.removeEventListener('abort', onAbort));
    }
    run();
  }
  return { signal: controller.signal, standStill, dispose };
}

/** The HotpackError that a fired signal stands for: its own reason where that is one, else `aborted`. */
export function abortError(signal: AbortSignal): HotpackError {
  const reason: unknown = signal.reason;
  if (isHotpackError(reason)) return reason;
  if (reason instanceof Error && reason.name === 'TimeoutError') {
    return new HotpackError('timeout', 'the operation took too long', { cause: reason });
  }
  return new HotpackError('aborted', 'the operation was aborted', { cause: reason });
}

/** Throws `abortError(signal)` if the signal has fired. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw abortError(signal);
}

/**
 * `promise`, or a rejection as soon as the signal fires. The work behind `promise` is not stopped by this; a rejection
 * that comes after the signal is swallowed.
 */
export function raceSignal<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  if (signal.aborted) {
    promise.catch(() => undefined);
    return Promise.reject(abortError(signal));
  }
  return new Promise<T>((resolve, reject) => {
    const onAbort = (): void => reject(abortError(signal));
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

/**
 * Runs `work` with a signal that fires with `signal`, and also when the work has ended: what it left open (a request whose
 * answer was never read) ends with it.
 */
export async function whileWorking<T>(signal: AbortSignal, work: (own: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const onAbort = (): void => controller.abort(signal.reason);
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await work(controller.signal);
  } finally {
    signal.removeEventListener('abort', onAbort);
    controller.abort(new HotpackError('aborted', 'the work has ended'));
  }
}

/** Resolves after `ms`, or rejects as soon as the signal fires; no timer stays behind. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(abortError(signal));
      return;
    }
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(abortError(signal as AbortSignal));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    }, ms);
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

function timeoutError(operation: string, timeoutMs: number): HotpackError {
  return new HotpackError('timeout', `${operation} took longer than ${timeoutMs} ms`, {
    detail: { operation, timeoutMs },
  });
}
