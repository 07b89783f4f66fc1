/** What warming does and what can be asked about it. */
import type { Repository } from '../upstream/repository.ts';

/** `fetch`: the mirror was here. `clone`: from upstream. `restore`: another instance had filled it in the shared store. */
export type WarmPath = 'fetch' | 'clone' | 'restore';

/**
 * `gone`: upstream knows no such repository. `no_access`: hotpack's own credential may not read it, or there is none.
 * `skipped`: another instance does it, or there can be no mirror of it (upstream's protocol, HOTPACK_MAX_MIRROR_BYTES).
 */
export type WarmStatus = 'ok' | 'error' | 'timeout' | 'gone' | 'no_access' | 'skipped';

export interface WarmedRepository {
  readonly repo: string;
  readonly path: WarmPath;
  readonly status: WarmStatus;
  readonly ms: number;
  /** In words, where the status is not `ok`. */
  readonly error?: string;
}

export type PassOutcome = 'complete' | 'empty_histogram' | 'aborted' | 'failed';

/** The pass that runs, or the last one. */
export interface PassState {
  readonly running: boolean;
  /** Milliseconds since the epoch; undefined where no pass has begun. */
  readonly startedAtMs: number | undefined;
  readonly endedAtMs: number | undefined;
  readonly outcome: PassOutcome | undefined;
  /** Those that have ended, in that order. */
  readonly repos: readonly WarmedRepository[];
}

export type WarmProgress =
  /** Another instance is at it, or has died in the midst of it within the minute. */
  | { readonly kind: 'waiting' }
  | { readonly kind: 'started'; readonly path: WarmPath }
  | { readonly kind: 'received'; readonly bytes: number };

export interface Warm {
  /** Recalls what was warmed before, and starts the passes, if there are any; both in the background. */
  start(): void;
  /** Aborts what runs, and resolves when it has ended. */
  stop(): Promise<void>;
  /** Rejects where it is to be read from a store that fails. */
  state(): PassState | Promise<PassState>;
  /** Sees to it that one repository is warmed, whoever does it. Never rejects; to be kept alive behind the answer. */
  warmLater(repository: Repository): Promise<void>;
  /** Warms one repository now, whatever is counted of it. Joins the work of a pass. Never rejects. */
  warmRepository(repository: Repository, onProgress?: (progress: WarmProgress) => void): Promise<WarmedRepository>;
  /** True where warming, by a pass or by hand, by this process or one before it, has made sure that its mirror is here. */
  isWarmed(repo: string): boolean | Promise<boolean>;
}

/** Where a process lives on that knows. */
export interface LastingWarm extends Warm {
  state(): PassState;
  isWarmed(repo: string): boolean;
}
