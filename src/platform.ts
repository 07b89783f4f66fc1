/**
 * What an adapter gives to `createApp` and what it gets back. Everything that differs between runtimes is behind
 * `Platform`; no other file asks where it runs.
 */
import type { H3 } from 'h3';
import type { PackThreads } from './mirror/tasks.ts';
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
   * Whether what one request started may go on after it and be awaited by another. Where it may not (Workers), nothing is
   * kept between requests: every repository is passed through, behind the same access checks.
   */
  readonly sharesWork: boolean;
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Takes finished lines. MUST NOT throw. */
  readonly log: LogSink;
}

export interface App {
  /** What the runtime's own `serve` of h3 takes. No routes are added after `createApp` has returned. */
  readonly h3: H3;
  /** Starts background work. Requests are answered before it resolves. */
  start(): Promise<void>;
  /**
   * From the call on `/_readiness` says `draining` and no new background work begins. Resolves when running
   * jobs have ended; when `signal` fires they are aborted, and it resolves once they have let go.
   */
  stop(signal: AbortSignal): Promise<void>;
  /** Called once after `stop`, when nothing is answered any more: writes what was counted. Takes seconds at most. */
  close(): Promise<void>;
}
