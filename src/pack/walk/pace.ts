/**
 * Keeps a long walk from holding the event loop. Work is measured in bytes looked at plus a fixed price an
 * object, not in time (workerd's clock stands still during computation): a turn of about 20 ms on one slow core.
 */
import { HotpackError } from '../../bytes/error.ts';
import { nextTurn } from '../../bytes/turn.ts';

const COST_OF_OBJECT = 400;
const COST_OF_TURN = 1_500_000;

export class Pace {
  readonly #signal: AbortSignal;
  #spent = 0;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    throwIfAborted(signal);
  }

  /** Notes one object of `bytes` bytes; true where the caller should `await pause()` before going on. */
  spend(bytes: number): boolean {
    this.#spent += COST_OF_OBJECT + bytes;
    return this.#spent >= COST_OF_TURN;
  }

  /** Gives the event loop a turn. Rejects with `aborted` where the signal is. */
  async pause(): Promise<void> {
    this.#spent = 0;
    throwIfAborted(this.#signal);
    await nextTurn();
    throwIfAborted(this.#signal);
  }
}

function throwIfAborted(signal: AbortSignal): void {
  if (!signal.aborted) return;
  throw new HotpackError('aborted', 'the walk was aborted', { cause: signal.reason });
}
