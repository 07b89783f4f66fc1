/**
 * What an adapter gives to `createApp` and what it gets back. Everything that differs between runtimes is behind
 * `Platform`; no other file asks where it runs.
 */
import type { H3 } from 'h3';
import type { GitDesk } from './http/git-desk.ts';
import type { PackThreads } from './mirror/tasks.ts';
import type { SizeBody } from './serve/body/size-body.ts';
import type { Storage } from './storage/contract.ts';
import type { Kv } from './storage/kv/contract.ts';
import type { LogSink } from './telemetry/logger.ts';

export interface Platform {
  readonly kind: 'node' | 'cloudflare' | 'deno';
  /** Open and ready to use. The adapter closes it after `App.close`. */
  readonly storage: Storage;
  /** For counters. The adapter closes it after `App.close`. */
  readonly kv: Kv;
  /** Absent where pack work runs in place: no threads, or a storage that only one thread can see. */
  readonly threads: PackThreads | undefined;
  /**
   * Whether what one request started may go on after it and be awaited by another. Where it may not (Workers), requests share
   * values alone, and work that outlives them is a task: see `queue` and `App.edge`.
   */
  readonly sharesWork: boolean;
  /** Whether other machines work over the same storage: then one of them fills a repository at a time. */
  readonly sharesStorage: boolean;
  /** Whether the process may be ended at any moment, with seconds of notice: who comes after it then goes on with its first fills. */
  readonly endsAnyTime?: boolean;
  /** Where `sharesWork` is false: takes tasks of at most 128 KB, plain data. Absent: they are done behind the answer, if small. */
  readonly queue?: { send(task: unknown): Promise<void> };
  /** Absent where a header tells how long an answer is. */
  readonly sizeBody?: SizeBody;
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Takes finished lines. MUST NOT throw. */
  readonly log: LogSink;
}

/** For runtimes that live from one event to the next. Whatever is begun ends before the promise does. */
export interface EdgeEvents {
  /** With each request; whatever is due is done behind it. */
  requested(keepAlive: (work: Promise<unknown>) => void): void;
  /** What is due of periodic work. Never rejects. */
  scheduled(): Promise<void>;
  /** A message of `Platform.queue`. `again`: it is to be delivered once more, later. Never rejects. */
  performed(task: unknown): Promise<'done' | 'again'>;
}

export interface App {
  /** What the runtime's own `serve` of h3 takes. No routes are added after `createApp` has returned. */
  readonly h3: H3;
  /** What its routes below `/git/` do, for a runtime that hands such requests over by itself. */
  readonly git: GitDesk;
  /** Where `Platform.sharesWork` is false. */
  readonly edge?: EdgeEvents;
  /** Starts background work. Requests are answered before it resolves. */
  start(): Promise<void>;
  /**
   * Does the periodic work that is due, also what was never done, and resolves when it has ended, and whatever of it was under
   * way. For runtimes that sleep where nobody asks. Never rejects.
   */
  runDue(): Promise<void>;
  /**
   * From the call on `/_readiness` says `draining` and no new background work begins. Resolves when running
   * jobs have ended; when `signal` fires they are aborted, and it resolves once they have let go.
   */
  stop(signal: AbortSignal): Promise<void>;
  /** Called once after `stop`, when nothing is answered any more: writes what was counted. Takes seconds at most. */
  close(): Promise<void>;
}
