/**
 * Equal checks at the same time as one. Per key there is at most one check that runs and one that is to follow it;
 * who comes while one runs takes that one's result if it is good for him, and else the result of the one that follows.
 * A check ends early only when everyone who waited for it has left.
 */
import { raceSignal } from '../bytes/abort.ts';

export interface SharedChecksOptions {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** False: everyone makes his own. */
  readonly share: boolean;
}

export interface CheckRequest<T> {
  readonly key: string;
  readonly arrivedAtMs: number;
  readonly signal?: AbortSignal | undefined;
  /** True where a check may be good that was sent before the client arrived; then `acceptable` judges its result. */
  readonly mayStartBefore: boolean;
  readonly acceptable: (result: T, sentAtMs: number) => boolean;
  /** `sequence` grows with every check that is sent. */
  readonly start: (sequence: number, signal: AbortSignal) => Promise<T>;
}

export interface SharedChecks<T> {
  run(request: CheckRequest<T>): Promise<T>;
}

interface Flight<T> {
  readonly result: Promise<T>;
  readonly controller: AbortController;
  /** Undefined until it is sent. */
  sentAtMs: number | undefined;
  sequence: number;
  waiting: number;
}

interface Lane<T> {
  running: Flight<T>;
  next: Flight<T> | undefined;
}

export function createSharedChecks<T>({ now, share }: SharedChecksOptions): SharedChecks<T> {
  const lanes = new Map<string, Lane<T>>();
  let lastSequence = 0;

  function createFlight(request: CheckRequest<T>, after: Promise<unknown> | undefined): Flight<T> {
    const controller = new AbortController();
    const flight: Flight<T> = { result: begin(), controller, sentAtMs: undefined, sequence: 0, waiting: 0 };
    flight.result.catch(() => undefined);
    return flight;

    async function begin(): Promise<T> {
      // Even the first one starts in a later turn: `flight` is not there yet.
      await after?.catch(() => undefined);
      controller.signal.throwIfAborted();
      flight.sentAtMs = now();
      flight.sequence = ++lastSequence;
      return await request.start(flight.sequence, controller.signal);
    }
  }

  function open(request: CheckRequest<T>): Lane<T> {
    const lane: Lane<T> = { running: createFlight(request, undefined), next: undefined };
    lanes.set(request.key, lane);
    follow(request.key, lane);
    return lane;
  }

  /** When the running check ends, the next one runs, or the lane closes. */
  function follow(key: string, lane: Lane<T>): void {
    const advance = (): void => {
      if (lane.next === undefined) {
        lanes.delete(key);
        return;
      }
      lane.running = lane.next;
      lane.next = undefined;
      follow(key, lane);
    };
    lane.running.result.then(advance, advance);
  }

  async function wait(flight: Flight<T>, signal: AbortSignal | undefined): Promise<T> {
    flight.waiting++;
    try {
      return await raceSignal(flight.result, signal);
    } finally {
      flight.waiting--;
      if (flight.waiting === 0 && signal?.aborted === true) flight.controller.abort(signal.reason);
    }
  }

  return {
    async run(request) {
      const { key, arrivedAtMs, signal } = request;
      if (!share) return await request.start(++lastSequence, signal ?? new AbortController().signal);
      const arrivedSequence = lastSequence;
      for (;;) {
        const lane = lanes.get(key);
        const { running } = lane ?? open(request);
        const sentLater = (flight: Flight<T>): boolean =>
          flight.sentAtMs === undefined || flight.sequence > arrivedSequence || flight.sentAtMs > arrivedAtMs;
        if (!running.controller.signal.aborted && (sentLater(running) || request.mayStartBefore)) {
          const result = await wait(running, signal);
          if (sentLater(running) || request.acceptable(result, running.sentAtMs as number)) return result;
          continue;
        }
        const current = lane as Lane<T>;
        if (current.next === undefined || current.next.controller.signal.aborted) {
          current.next = createFlight(request, running.result);
        }
        return await wait(current.next, signal);
      }
    },
  };
}
