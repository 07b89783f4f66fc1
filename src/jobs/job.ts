/** What a job is, and what its submitter gets. */

/** `client-waits` before `soon` before `background`. */
export type JobPriority = 'client-waits' | 'soon' | 'background';

/** `fill` counts against the clone limit as well; other names are for metrics and logs. */
export type JobKind = 'fill' | 'update' | 'maintenance' | 'warm' | (string & {});

export interface Job<T> {
  readonly kind: JobKind;
  /** Jobs of one repository never run at the same time, but for those that have another lane. */
  readonly repo: string;
  /** Absent: that of all work that fetches. */
  readonly lane?: 'maintenance' | 'answers';
  /** A waiting or running job with the same key is joined instead. Same key MUST mean same result type. */
  readonly key: string;
  readonly priority: JobPriority;
  /**
   * True: aborted when everyone who submitted or joined it has cancelled (a joiner that says false keeps it going).
   * False: it runs to its end whoever leaves.
   */
  readonly abandonWhenUnwatched: boolean;
  /**
   * The work. MUST settle soon after the signal fires; until then it holds its repository and its place. `report` tells
   * everyone who watches how far it is.
   */
  readonly run: (signal: AbortSignal, report: (progress: unknown) => void) => Promise<T>;
}

export type JobOutcome<T> =
  | { readonly kind: 'done'; readonly value: T }
  | { readonly kind: 'failed'; readonly error: unknown }
  /** `reason`: a HotpackError, `aborted` or `shutting_down`. */
  | { readonly kind: 'aborted'; readonly reason: unknown };

export interface JobHandle<T> {
  /** Never rejects. Of a watcher who cancelled: `aborted`, at once. */
  readonly done: Promise<JobOutcome<T>>;
  /** When it runs, at once where it does already; also when it ends without having run. Never rejects. */
  readonly started: Promise<void>;
  /** True where this call joined a job that was there. */
  readonly joined: boolean;
  /** This watcher leaves; what becomes of the job is `abandonWhenUnwatched`'s to say. Idempotent. */
  cancel(): void;
}

export interface JobsSnapshot {
  readonly waiting: number;
  readonly running: number;
  /** Of those running: `fill`s. */
  readonly runningClones: number;
  /** Since the start. */
  readonly done: number;
  readonly failed: number;
  readonly aborted: number;
}
