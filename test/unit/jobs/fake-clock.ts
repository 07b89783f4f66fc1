/** A clock that only the test moves: who sleeps wakes when it passes his time. */
import { abortError } from '../../../src/bytes/abort.ts';

export interface FakeClock {
  readonly now: () => number;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** The same promise: time stands still until it has settled. */
  readonly track: <T>(work: Promise<T>) => Promise<T>;
  /** Wakes sleepers in the order of their times, each in its turn. */
  readonly advance: (ms: number) => Promise<void>;
}

export function createFakeClock(startMs = 1_000_000_000): FakeClock {
  let nowMs = startMs;
  const sleepers = new Set<{ readonly atMs: number; readonly wake: () => void }>();
  let underWay = 0;
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 5 || underWay > 0; turn++) await new Promise((resolve) => setImmediate(resolve));
  };
  return {
    track: (work) => {
      underWay++;
      return work.finally(() => underWay--);
    },
    now: () => nowMs,
    sleep: (ms, signal) =>
      new Promise<void>((resolve, reject) => {
        const sleeper = { atMs: nowMs + ms, wake: resolve };
        const leave = (): void => {
          sleepers.delete(sleeper);
          reject(abortError(signal));
        };
        if (signal.aborted) return leave();
        sleepers.add(sleeper);
        signal.addEventListener('abort', leave, { once: true });
      }),
    async advance(ms) {
      const endMs = nowMs + ms;
      await settle();
      while (true) {
        const [next] = [...sleepers].toSorted((left, right) => left.atMs - right.atMs);
        if (next === undefined || next.atMs > endMs) break;
        nowMs = Math.max(nowMs, next.atMs);
        sleepers.delete(next);
        next.wake();
        await settle();
      }
      nowMs = endMs;
      await settle();
    },
  };
}
