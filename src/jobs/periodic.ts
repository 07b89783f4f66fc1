/**
 * Work that is done again and again. When it last began is a document in the store: so it survives restarts, and of several
 * instances over one store the first whose time has come does it while the others wait for the next time. Intervals have
 * jitter, so that instances that started together do not stay together. What was never done is due soon after the start, and
 * what failed is tried again sooner: after a minute, then twice as long each time, up to the interval.
 *
 * Each job has a loop of its own: one that throws or hangs holds up no other.
 */
import { isHotpackError } from '../bytes/error.ts';
import { sleep } from '../bytes/abort.ts';
import type { Storage } from '../storage/contract.ts';
import type { Logger } from '../telemetry/logger.ts';

/** Of the interval, to both sides. */
const JITTER = 0.1;
/** A timer takes no more. */
const LONGEST_SLEEP_MS = 2 ** 31 - 1;
/** What was never done waits so long, and what failed for the first time. */
const FIRST_MS = 5 * 60_000;
const RETRY_MS = 60_000;
const SLOWEST_RETRY_MS = 3_600_000;
const FOLDER = 'jobs/periodic';

export interface PeriodicJob {
  /** One segment of a storage key. */
  readonly name: string;
  /** From beginning to beginning; a run that takes longer is followed by the next one at once. 0: once that went well, never again. */
  readonly intervalMs: number;
  /** True: also when the process starts, whenever it was last done. */
  readonly runsAtStart: boolean;
  /** `failed`: it has said why; a rejection is logged. MUST settle soon after the signal fires. */
  readonly run: (signal: AbortSignal) => Promise<RunOutcome>;
}

export type RunOutcome = 'done' | 'failed';

export interface PeriodicDeps {
  readonly storage: Pick<Storage, 'readDocument' | 'replaceDocument'>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly logger: Logger;
  /** Default: a timer. */
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
  /** From 0 to 1. */
  readonly random?: () => number;
}

export interface PeriodicJobs {
  /** Begins its loop. */
  add(job: PeriodicJob): void;
  /**
   * Runs it once if its interval is over since it last began anywhere (0: if it never did): where a trigger from outside takes
   * the loop's place. Of several that ask at once one runs it. Never rejects.
   */
  runIfDue(job: PeriodicJob): Promise<void>;
  /** `runIfDue` for all that were added. Resolves when these have ended, and what their loops had begun. */
  runDue(): Promise<void>;
  /** Fires the signals of what runs, and resolves when all has ended. */
  stop(): Promise<void>;
}

interface LastRun {
  /** Undefined: never, or it cannot be read. */
  readonly startedAtMs: number | undefined;
  /** For `replaceDocument`; undefined where the store did not answer. */
  readonly version: string | undefined;
}

export function createPeriodicJobs(deps: PeriodicDeps): PeriodicJobs {
  const { storage, now, logger } = deps;
  const pause = deps.sleep ?? sleep;
  const random = deps.random ?? Math.random;
  const ending = new AbortController();
  const { signal } = ending;
  const loops = new Set<Promise<void>>();
  const added: PeriodicJob[] = [];
  const running = new Set<Promise<RunOutcome>>();

  async function readLast(name: string): Promise<LastRun> {
    try {
      const found = await storage.readDocument(`${FOLDER}/${name}`, signal);
      if (found.kind === 'absent') return { startedAtMs: undefined, version: 'absent' };
      const startedAtMs = parseStartedAt(found.bytes);
      // A time to come is a clock's fault.
      return { startedAtMs: startedAtMs && Math.min(startedAtMs, now()), version: found.version };
    } catch (error) {
      if (!signal.aborted) logger.warn('storage_failed', { job: name, error });
      return { startedAtMs: undefined, version: undefined };
    }
  }

  /** False where another instance has begun meanwhile. */
  async function noteStart(name: string, last: LastRun): Promise<boolean> {
    if (last.version === undefined) return true;
    const text = JSON.stringify({ startedAtMs: now(), nonce: crypto.randomUUID() });
    try {
      const bytes = new TextEncoder().encode(text);
      const outcome = await storage.replaceDocument(`${FOLDER}/${name}`, bytes, last.version, signal);
      return outcome.kind === 'replaced';
    } catch (error) {
      if (!signal.aborted) logger.warn('storage_failed', { job: name, error });
      return true;
    }
  }

  function run(job: PeriodicJob): Promise<RunOutcome> {
    const begun = attempt(job).finally(() => running.delete(begun));
    running.add(begun);
    return begun;
  }

  async function attempt(job: PeriodicJob): Promise<RunOutcome> {
    if (signal.aborted) return 'failed';
    try {
      return await job.run(signal);
    } catch (error) {
      if (!signal.aborted) logger.warn('job_failed', { kind: job.name, error });
      return 'failed';
    }
  }

  /** Between nine and eleven tenths of the interval. */
  function jittered(intervalMs: number): number {
    return intervalMs * (1 + JITTER * (2 * random() - 1));
  }

  async function sleepUntil(dueAtMs: number): Promise<void> {
    for (let leftMs = dueAtMs - now(); leftMs > 0; leftMs = dueAtMs - now()) {
      // oxlint-disable-next-line no-await-in-loop -- longer than one timer takes
      await pause(Math.min(leftMs, LONGEST_SLEEP_MS), signal);
    }
  }

  async function loop(job: PeriodicJob): Promise<void> {
    const { name, intervalMs, runsAtStart } = job;
    const firstAtMs = now() + jittered(Math.min(FIRST_MS, intervalMs));
    // What this process began itself counts even where the store did not take it.
    let ranAtMs: number | undefined;
    let failures = 0;
    const runOnce = async (): Promise<void> => {
      ranAtMs = now();
      failures = (await run(job)) === 'failed' ? failures + 1 : 0;
    };
    if (runsAtStart) {
      await noteStart(name, await readLast(name));
      await runOnce();
    }
    while ((intervalMs > 0 || failures > 0) && !signal.aborted) {
      // oxlint-disable-next-line no-await-in-loop -- one run after the other
      const before = await readLast(name);
      const lastAtMs = latest(before.startedAtMs, ranAtMs);
      // oxlint-disable-next-line no-await-in-loop
      await sleepUntil(lastAtMs === undefined ? firstAtMs : lastAtMs + jittered(pauseAfter(failures, intervalMs)));
      // oxlint-disable-next-line no-await-in-loop
      const last = await readLast(name);
      const isDoneByAnother =
        before.version !== undefined && last.version !== undefined && last.version !== before.version;
      // oxlint-disable-next-line no-await-in-loop
      if (isDoneByAnother || !(await noteStart(name, last))) {
        // Where it failed there too, it is tried again there.
        failures = 0;
        continue;
      }
      // oxlint-disable-next-line no-await-in-loop
      await runOnce();
    }
  }

  async function runIfDue(job: PeriodicJob): Promise<void> {
    const last = await readLast(job.name);
    const { startedAtMs } = last;
    // A trigger that comes as often as the interval must not miss it by a moment.
    const restMs = job.intervalMs > 0 ? job.intervalMs * (1 - JITTER) : Number.POSITIVE_INFINITY;
    if (startedAtMs !== undefined && now() - startedAtMs < restMs) return;
    if (last.version !== undefined && (await noteStart(job.name, last))) await run(job);
  }

  return {
    add(job) {
      added.push(job);
      const looping: Promise<void> = loop(job)
        .catch((error: unknown) => {
          if (!isHotpackError(error, 'aborted')) logger.warn('job_failed', { kind: job.name, error });
        })
        .finally(() => loops.delete(looping));
      loops.add(looping);
    },
    runIfDue,
    async runDue() {
      await Promise.all(added.map(runIfDue));
      await Promise.all(running);
    },
    async stop() {
      ending.abort();
      await Promise.all(loops);
    },
  };
}

/** From the beginning of the last run to the next one. */
function pauseAfter(failures: number, intervalMs: number): number {
  if (failures === 0) return intervalMs;
  return Math.min(RETRY_MS * 2 ** Math.min(failures - 1, 10), intervalMs > 0 ? intervalMs : SLOWEST_RETRY_MS);
}

function latest(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? (one ?? other) : Math.max(one, other);
}

function parseStartedAt(bytes: Uint8Array): number | undefined {
  try {
    const { startedAtMs } = JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>;
    return typeof startedAtMs === 'number' && Number.isFinite(startedAtMs) ? startedAtMs : undefined;
  } catch {
    return undefined;
  }
}
