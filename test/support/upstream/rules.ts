/**
 * What a test tells the upstream to do otherwise than git would: answer with a status, redirect, hold, cut, trickle
 * or spoil. A rule names the requests that it is for; the first rule that fits and has turns left acts.
 */
import type { JournalEntry, RequestKind } from './journal.ts';

export interface RuleMatch {
  /** `<host>/<path>` without `.git`; absent: every repository. */
  readonly repository?: string;
  readonly kind?: RequestKind | readonly RequestKind[];
  readonly test?: (entry: JournalEntry) => boolean;
}

export type Action =
  | {
      readonly do: 'status';
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: string;
    }
  /** `to` replaces the part of the URL up to the repository (`/host/path`), or is an absolute base. */
  | { readonly do: 'redirect'; readonly status: 301 | 302 | 307 | 308; readonly to: string }
  /** `request`: before git runs; `answer`: git has answered from the state of then, the answer waits. */
  | { readonly do: 'hold'; readonly stage: 'request' | 'answer' }
  /** Ends the connection after so many bytes of the answer's body. */
  | { readonly do: 'cut'; readonly afterBytes: number }
  | { readonly do: 'trickle'; readonly bytes: number; readonly everyMs: number }
  /** Sends `afterBytes` of the body, then nothing until released. */
  | { readonly do: 'stall'; readonly afterBytes: number }
  /** Replaces the whole body; collected first. */
  | { readonly do: 'spoil'; readonly spoil: (body: Buffer) => Buffer };

export class Rule {
  readonly match: RuleMatch;
  readonly action: Action;
  /** Requests that the rule acted on. */
  readonly hits: JournalEntry[] = [];
  private turns: number;
  private open = false;
  private readonly waiting = new Set<() => void>();
  private readonly arrivals = new Set<() => void>();

  constructor(match: RuleMatch, action: Action, turns: number) {
    this.match = match;
    this.action = action;
    this.turns = turns;
  }

  fits(entry: JournalEntry): boolean {
    const { repository, kind, test } = this.match;
    if (this.turns <= 0) return false;
    if (repository !== undefined && repository !== entry.repository) return false;
    if (kind !== undefined && !(typeof kind === 'string' ? kind === entry.kind : kind.includes(entry.kind)))
      return false;
    return test === undefined || test(entry);
  }

  take(entry: JournalEntry): void {
    this.turns -= 1;
    this.hits.push(entry);
    for (const resolve of this.arrivals) resolve();
    this.arrivals.clear();
  }

  /** Resolves when the rule has acted on `count` requests. */
  async arrived(count = 1): Promise<void> {
    while (this.hits.length < count) await new Promise<void>((resolve) => this.arrivals.add(resolve));
  }

  /** Lets go of what a `hold` or `stall` keeps, now and later. */
  release(): void {
    this.open = true;
    for (const resolve of this.waiting) resolve();
    this.waiting.clear();
  }

  async released(): Promise<void> {
    if (!this.open) await new Promise<void>((resolve) => this.waiting.add(resolve));
  }

  /** The rule acts no more; what it held goes on. */
  remove(): void {
    this.turns = 0;
    this.release();
  }
}
