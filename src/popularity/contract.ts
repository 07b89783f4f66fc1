/**
 * What is counted of requests, and what can be asked about it. Counting is an addition in memory: it never waits, never throws,
 * and is lost by at most one flush interval where a process is killed.
 */
import type { Day } from './histogram/day.ts';

/** Where an answer came from. */
export type CountedSource = 'pack-cache' | 'mirror' | 'upstream';

export interface CountedFetch {
  /** The repository's name. It MUST exist, and whoever asked MUST be allowed to read it. */
  readonly repo: string;
  readonly isClone: boolean;
  /** `requestShape` of it. */
  readonly shape: string;
  /** Keeps the runtime alive for a flush, where there are no timers. */
  readonly waitUntil?: ((promise: Promise<unknown>) => void) | undefined;
}

export interface PopularityCounters {
  countFetch(fetch: CountedFetch): void;
  /** Any answered request of a repository, with the bytes of its answer. */
  countAnswer(repo: string, source: CountedSource, bytes: number): void;
}

export interface TopQuestion {
  /** Today and the days before it: 1 is today alone. */
  readonly days: number;
  readonly limit: number;
}

export interface Top {
  readonly days: number;
  readonly from: Day;
  readonly to: Day;
  /** Most clones first, then by name. */
  readonly repos: readonly { readonly repo: string; readonly clones: number }[];
}

/** What was asked of one repository. */
export interface Traffic {
  readonly requests: Readonly<Record<CountedSource, number>>;
  readonly bytes: Readonly<Record<CountedSource, number>>;
  /** At most 16, most asked first, then by name; `other` are those that were too many to tell apart. */
  readonly shapes: readonly { readonly shape: string; readonly count: number }[];
}

export interface Popularity extends PopularityCounters {
  /** Starts flushing by timers. Without it a flush rides on requests. */
  start(): void;
  /** What this instance has not written yet is included. Never writes. Rejects where the key-value store fails. */
  top(question: TopQuestion, signal?: AbortSignal): Promise<Top>;
  /** By repository, over the same days as `top`. Never writes. */
  traffic(days: number, signal?: AbortSignal): Promise<ReadonlyMap<string, Traffic>>;
  /** What this instance was asked for of a repository today and yesterday, in the form of `Traffic.shapes`. Reads no store. */
  shapesOf(repo: string): Traffic['shapes'];
  /** Writes what was counted. Never rejects: what could not be written waits. */
  flush(signal?: AbortSignal): Promise<void>;
  /**
   * Gathers days that are over, removes what is older than is kept and what is no count, and reports that. To be done once a
   * day, by one of the instances: more cost reads and change nothing. Rejects where the key-value store fails.
   */
  tidy(signal: AbortSignal): Promise<void>;
  /** Ends the timers and flushes a last time. */
  stop(signal?: AbortSignal): Promise<void>;
}
