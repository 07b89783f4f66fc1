/**
 * Background work within limits. A job starts when there is a place (`concurrency`; for clone-like jobs `cloneConcurrency`, for
 * background ones `backgroundConcurrency` too) and no other job of its repository runs. Of those that could start, the highest priority goes first, then who
 * came first; a job that cannot start yet (its repository is busy, the clone places are taken) holds up nobody behind it.
 *
 * A job that has been aborted while running keeps its repository and its place until its work has really ended, so that two never
 * work on one repository. Once aborted it is not joined any more: who submits the same key then gets a new job behind it.
 *
 * Memory: one entry a waiting or running job. No timers but that of `drain`.
 */
import { raceSignal } from '../bytes/abort.ts';
import { HotpackError } from '../bytes/error.ts';
import type { Job, JobHandle, JobKind, JobOutcome, JobPriority, JobsSnapshot } from './job.ts';

export interface JobsOptions {
  /** Jobs that run at the same time. At least 1. */
  readonly concurrency: number;
  /** Of these, how many may be `fill`s. At least 1. */
  readonly cloneConcurrency: number;
  /** Of these, how many may have started as `background`, so that others find places. At least 1. Default: no limit. */
  readonly backgroundConcurrency?: number;
  /** Milliseconds; differences only. Default: `Date.now`. */
  readonly now?: () => number;
  readonly events?: JobEvents;
}

/** What telemetry may want to know. A callback that throws is ignored. */
export interface JobEvents {
  readonly started?: (job: JobFacts, waitedMs: number) => void;
  /** `ranMs` is 0 where it never ran. */
  readonly ended?: (job: JobFacts, outcome: JobOutcome<unknown>, ranMs: number) => void;
}

export type JobFacts = Pick<Job<unknown>, 'kind' | 'repo' | 'key' | 'priority'>;

export interface Jobs {
  /** Throws `shutting_down` once `drain` was called. `onProgress` is told what the job reports from now on. */
  submit<T>(job: Job<T>, onProgress?: (progress: unknown) => void): JobHandle<T>;
  /**
   * Takes no more jobs, drops waiting ones as aborted, gives running ones `timeoutMs`, then fires their signals. Resolves when
   * all have ended, or (`abandoned` > 0) when some have not `graceMs` (default 1,000) after their signal fired.
   */
  drain(options: DrainOptions): Promise<{ readonly abandoned: number }>;
  snapshot(): JobsSnapshot;
}

export interface DrainOptions {
  /** How long what runs may go on. */
  readonly timeoutMs: number;
  /** How long it may take to let go once it was aborted. Default: 1,000. */
  readonly graceMs?: number;
  /** Ends `timeoutMs` early. */
  readonly signal?: AbortSignal;
}

export function createJobs(options: JobsOptions): Jobs {
  for (const name of ['concurrency', 'cloneConcurrency', 'backgroundConcurrency'] as const) {
    const value = options[name] ?? 1;
    if (!Number.isInteger(value) || value < 1) {
      throw new HotpackError('invalid_argument', `${name} is a whole number from 1`, {
        detail: { [name]: options[name] },
      });
    }
  }
  return new JobQueue(options);
}

const RANK: Record<JobPriority, number> = { 'client-waits': 0, soon: 1, background: 2 };

interface Watcher {
  readonly onProgress: ((progress: unknown) => void) | undefined;
  readonly resolve: (outcome: JobOutcome<unknown>) => void;
}

interface Entry {
  readonly job: Job<unknown>;
  readonly controller: AbortController;
  readonly watchers: Set<Watcher>;
  readonly submittedAtMs: number;
  priority: JobPriority;
  abandonWhenUnwatched: boolean;
  startedAtMs: number | undefined;
  readonly started: PromiseWithResolvers<void>;
  /** Takes one of the background places, whoever joins it meanwhile. */
  isBackground: boolean;
}

class JobQueue implements Jobs {
  readonly #options: JobsOptions;
  readonly #now: () => number;
  /** In the order in which they came. */
  readonly #waiting = new Set<Entry>();
  readonly #running = new Set<Entry>();
  /** Those that can be joined. */
  readonly #byKey = new Map<string, Entry>();
  readonly #busyLanes = new Set<string>();
  readonly #ended = { done: 0, failed: 0, aborted: 0 };
  #runningClones = 0;
  #runningBackground = 0;
  #draining = false;
  #onIdle: (() => void) | undefined;

  constructor(options: JobsOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  submit<T>(job: Job<T>, onProgress?: (progress: unknown) => void): JobHandle<T> {
    if (this.#draining) throw shuttingDown();
    const existing = this.#byKey.get(job.key);
    const entry = existing ?? this.#enqueue(job);
    if (existing !== undefined) {
      if (RANK[job.priority] < RANK[entry.priority]) entry.priority = job.priority;
      if (!job.abandonWhenUnwatched) entry.abandonWhenUnwatched = false;
    }
    const handle = this.#watch(entry, existing !== undefined, onProgress);
    this.#startWhatCan();
    // The same key means the same result type: `Job.key`.
    return handle as JobHandle<T>;
  }

  async drain({ timeoutMs, graceMs = 1000, signal }: DrainOptions): Promise<{ readonly abandoned: number }> {
    this.#draining = true;
    for (const entry of this.#waiting) this.#abort(entry, shuttingDown());
    await raceSignal(this.#idleWithin(timeoutMs), signal).catch(() => undefined);
    for (const entry of this.#running) this.#abort(entry, shuttingDown());
    await this.#idleWithin(graceMs);
    return { abandoned: this.#running.size };
  }

  snapshot(): JobsSnapshot {
    return {
      waiting: this.#waiting.size,
      running: this.#running.size,
      runningClones: this.#runningClones,
      ...this.#ended,
    };
  }

  #enqueue(job: Job<unknown>): Entry {
    const entry: Entry = {
      job,
      controller: new AbortController(),
      watchers: new Set(),
      submittedAtMs: this.#now(),
      priority: job.priority,
      abandonWhenUnwatched: job.abandonWhenUnwatched,
      startedAtMs: undefined,
      started: Promise.withResolvers(),
      isBackground: false,
    };
    this.#waiting.add(entry);
    this.#byKey.set(job.key, entry);
    return entry;
  }

  #watch(entry: Entry, joined: boolean, onProgress: Watcher['onProgress']): JobHandle<unknown> {
    const { promise, resolve } = Promise.withResolvers<JobOutcome<unknown>>();
    const watcher: Watcher = { onProgress, resolve };
    entry.watchers.add(watcher);
    const cancel = (): void => {
      if (!entry.watchers.delete(watcher)) return;
      const reason = new HotpackError('aborted', 'whoever waited for this job left');
      resolve({ kind: 'aborted', reason });
      if (entry.watchers.size === 0 && entry.abandonWhenUnwatched) this.#abort(entry, reason);
    };
    return { done: promise, started: entry.started.promise, joined, cancel };
  }

  #abort(entry: Entry, reason: HotpackError): void {
    // Whoever comes now wants the work done, not this attempt at it.
    if (this.#byKey.get(entry.job.key) === entry) this.#byKey.delete(entry.job.key);
    if (this.#waiting.delete(entry)) this.#end(entry, { kind: 'aborted', reason });
    else entry.controller.abort(reason);
  }

  #startWhatCan(): void {
    while (this.#running.size < this.#options.concurrency) {
      const next = this.#nextToStart();
      if (next === undefined) return;
      this.#start(next);
    }
  }

  #nextToStart(): Entry | undefined {
    const { cloneConcurrency, backgroundConcurrency = Number.POSITIVE_INFINITY } = this.#options;
    let best: Entry | undefined;
    for (const entry of this.#waiting) {
      if (best !== undefined && RANK[best.priority] <= RANK[entry.priority]) continue;
      if (this.#busyLanes.has(laneOf(entry.job))) continue;
      if (isClone(entry.job.kind) && this.#runningClones >= cloneConcurrency) continue;
      if (entry.priority === 'background' && this.#runningBackground >= backgroundConcurrency) continue;
      best = entry;
    }
    return best;
  }

  #start(entry: Entry): void {
    const { job } = entry;
    this.#waiting.delete(entry);
    this.#running.add(entry);
    this.#busyLanes.add(laneOf(job));
    if (isClone(job.kind)) this.#runningClones++;
    entry.isBackground = entry.priority === 'background';
    if (entry.isBackground) this.#runningBackground++;
    entry.startedAtMs = this.#now();
    entry.started.resolve();
    const waitedMs = entry.startedAtMs - entry.submittedAtMs;
    quietly(() => this.#options.events?.started?.(factsOf(entry), waitedMs));
    void this.#run(entry).then((outcome) => {
      this.#running.delete(entry);
      this.#busyLanes.delete(laneOf(job));
      if (isClone(job.kind)) this.#runningClones--;
      if (entry.isBackground) this.#runningBackground--;
      this.#end(entry, outcome);
      this.#startWhatCan();
      if (this.#running.size === 0) this.#onIdle?.();
    });
  }

  async #run(entry: Entry): Promise<JobOutcome<unknown>> {
    const { signal } = entry.controller;
    const report = (progress: unknown): void => {
      for (const watcher of entry.watchers) quietly(() => watcher.onProgress?.(progress));
    };
    try {
      // After the submitter's turn, so that he has his handle before anything is reported.
      await Promise.resolve();
      if (signal.aborted) return { kind: 'aborted', reason: signal.reason };
      return { kind: 'done', value: await entry.job.run(signal, report) };
    } catch (error) {
      return signal.aborted ? { kind: 'aborted', reason: signal.reason } : { kind: 'failed', error };
    }
  }

  #end(entry: Entry, outcome: JobOutcome<unknown>): void {
    if (this.#byKey.get(entry.job.key) === entry) this.#byKey.delete(entry.job.key);
    this.#ended[outcome.kind]++;
    entry.started.resolve();
    const ranMs = entry.startedAtMs === undefined ? 0 : this.#now() - entry.startedAtMs;
    quietly(() => this.#options.events?.ended?.(factsOf(entry), outcome, ranMs));
    for (const watcher of entry.watchers) watcher.resolve(outcome);
    entry.watchers.clear();
  }

  /** Resolves when nothing runs, or after `ms`. */
  async #idleWithin(ms: number): Promise<void> {
    if (this.#running.size === 0) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    await new Promise<void>((resolve) => {
      this.#onIdle = resolve;
      timer = setTimeout(resolve, ms);
    });
    clearTimeout(timer);
    this.#onIdle = undefined;
  }
}

function laneOf({ repo, lane }: Job<unknown>): string {
  return lane === undefined ? repo : `${lane}\0${repo}`;
}

function isClone(kind: JobKind): boolean {
  return kind === 'fill';
}

function factsOf({ job: { kind, repo, key }, priority }: Entry): JobFacts {
  return { kind, repo, key, priority };
}

/** Someone else's callback must not break the queue. */
function quietly(callback: () => void): void {
  try {
    callback();
  } catch {
    // It had its chance.
  }
}

function shuttingDown(): HotpackError {
  return new HotpackError('shutting_down', 'no more jobs: hotpack is shutting down');
}
