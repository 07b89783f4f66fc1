/**
 * Indexing may run on a thread that serves requests as well: after a quantum of work (some 10 to 20 ms) the event
 * loop gets its turn. Work is counted, not timed: this room has no clock, and on Workers clocks stand still.
 */
import { throwIfAborted } from '../../bytes/abort.ts';
import { nextTurn } from '../../bytes/turn.ts';

/** In units of one inflated or hashed byte. */
const QUANTUM = 3 << 20;
/** What an object costs beside its bytes. */
const OBJECT_UNITS = 600;

export class Pacer {
  private readonly signal: AbortSignal;
  private units = 0;

  constructor(signal: AbortSignal) {
    this.signal = signal;
  }

  /** Counts one object of `bytes`; true when it is time for `breathe`. */
  spend(bytes: number): boolean {
    this.units += bytes + OBJECT_UNITS;
    return this.units >= QUANTUM;
  }

  /** Lets everything else run first. Rejects with `aborted`. */
  async breathe(): Promise<void> {
    this.units = 0;
    throwIfAborted(this.signal);
    await nextTurn();
    throwIfAborted(this.signal);
  }
}
