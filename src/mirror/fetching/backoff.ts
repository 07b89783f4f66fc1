/** Waits between tries that fail: 10 s, doubled up to 10 minutes, with up to a fifth of jitter; a success forgets all. */
const FIRST_MS = 10_000;
const LONGEST_MS = 600_000;

export class Backoff {
  readonly #now: () => number;
  #failures = 0;
  #blockedUntilMs = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  get failures(): number {
    return this.#failures;
  }

  get isBlocked(): boolean {
    return this.#now() < this.#blockedUntilMs;
  }

  /** Milliseconds since the epoch. */
  get blockedUntilMs(): number {
    return this.#blockedUntilMs;
  }

  failed(): void {
    const waitMs = Math.min(LONGEST_MS, FIRST_MS * 2 ** this.#failures);
    this.#failures++;
    this.#blockedUntilMs = this.#now() + Math.round(waitMs * (1 + Math.random() / 5));
  }

  succeeded(): void {
    this.#failures = 0;
    this.#blockedUntilMs = 0;
  }
}
