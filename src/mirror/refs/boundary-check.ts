/**
 * Whether upstream's repository is shallow itself. Protocol v2 tells it only in a fetch, v0 at the end of its list of refs
 * (gitprotocol-pack, "Reference Discovery"), so a mirror that holds a history whole asks for that list before it gives the
 * whole of it away: a repository may have been replaced by a shallow copy of itself, with the same refs.
 *
 * An answer serves those who arrived before it was asked for, and for the interval everyone. Where upstream does not answer, what
 * was known last holds.
 */
import type { Failure, ProbeOk } from '../../upstream/contract.ts';

export interface BoundaryCheckOptions {
  readonly now: () => number;
  readonly intervalMs: number;
}

export class BoundaryCheck {
  readonly #options: BoundaryCheckOptions;
  #isShallow = false;
  #sentAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: BoundaryCheckOptions) {
    this.#options = options;
  }

  /** `ask` is a v0 `info/refs` on behalf of who asks. */
  async isShallow(arrivedAtMs: number, ask: () => Promise<ProbeOk | Failure>): Promise<boolean> {
    const { now, intervalMs } = this.#options;
    const sentAtMs = now();
    if (this.#sentAtMs > arrivedAtMs || sentAtMs - this.#sentAtMs < intervalMs) return this.#isShallow;
    const answer = await ask();
    if (answer.kind === 'ok' && sentAtMs >= this.#sentAtMs) {
      this.#sentAtMs = sentAtMs;
      this.#isShallow = answer.transport.kind === 'v0' && answer.transport.isShallow === true;
    }
    return this.#isShallow;
  }
}
