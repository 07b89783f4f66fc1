/** Time that passes only when everybody waits: the order of what happens is decided by a seed alone. */

/** Numbers from 0 up to 1, the same for the same seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Waiting {
  readonly atMs: number;
  readonly order: number;
  readonly wake: () => void;
}

export class VirtualTime {
  nowMs: number;
  #waiting: Waiting[] = [];
  #order = 0;

  constructor(startMs: number) {
    this.nowMs = startMs;
  }

  sleep(ms: number): Promise<void> {
    return new Promise((wake) => {
      this.#waiting.push({ atMs: this.nowMs + ms, order: this.#order++, wake });
    });
  }

  /** Lets time pass until `work` has ended. Whoever waits for longer goes on waiting. */
  async run<T>(work: Promise<T>): Promise<T> {
    let hasEnded = false;
    const end = (): void => void (hasEnded = true);
    work.then(end, end);
    await settle();
    while (!hasEnded) {
      const next = this.#takeNext();
      if (next === undefined) throw new Error('everybody waits for nothing');
      this.nowMs = Math.max(this.nowMs, next.atMs);
      next.wake();
      // oxlint-disable-next-line no-await-in-loop -- what was woken runs until it waits again
      await settle();
    }
    return work;
  }

  #takeNext(): Waiting | undefined {
    let best = 0;
    for (let at = 1; at < this.#waiting.length; at++) {
      const [one, other] = [this.#waiting[at] as Waiting, this.#waiting[best] as Waiting];
      if (one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order)) best = at;
    }
    return this.#waiting.splice(best, 1)[0];
  }
}

/** Every promise that can go on has gone on. */
function settle(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}
