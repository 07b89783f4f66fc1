/**
 * What upstream says its refs are, and since when we know (DESIGN 1). A request may be shown a check only if that check was
 * sent after the request arrived, or is younger than the interval; a failed check never counts as "unchanged".
 *
 * Whoever cannot use what is known joins a check that is not yet sent, or starts one: at most two are under way for a
 * scope, so that one hanging check does not hold up the next, and everyone who arrives meanwhile shares the one that
 * waits behind them. Of two answers the one that was sent later counts, whichever came first.
 */
import { raceSignal } from '../../bytes/abort.ts';
import { isEqualSnapshot, type RefsSnapshot } from '../../protocol/refs-snapshot.ts';
import type { Failure, Refused, RefsOk } from '../../upstream/contract.ts';
import type { Asker } from '../services.ts';

/** `branches`: HEAD, `refs/heads/`, `refs/tags/`. `all` holds these too. */
export type RefsScope = 'branches' | 'all';

export const BRANCH_PREFIXES: readonly string[] = ['refs/heads/', 'refs/tags/', 'HEAD'];

export interface RefsCheck {
  readonly scope: RefsScope;
  readonly refs: RefsSnapshot;
  readonly sentAtMs: number;
}

export type RefsAnswer =
  | { readonly kind: 'known'; readonly check: RefsCheck }
  | { readonly kind: 'failed'; readonly failure: Failure | Refused };

export interface RefsAsking {
  readonly arrivedAtMs: number;
  readonly asker: Asker;
  readonly signal?: AbortSignal | undefined;
}

/** What is known, without what is under way. */
export interface RefsMemory {
  readonly latest: Record<RefsScope, RefsCheck | undefined>;
  /** Only checks sent after this count: something was pushed then. */
  onlyAfterMs: number;
}

export function createRefsMemory(): RefsMemory {
  return { latest: { branches: undefined, all: undefined }, onlyAfterMs: Number.NEGATIVE_INFINITY };
}

/** Of any scope: each tells of branches. */
export function youngestCheck({ latest: { all, branches } }: Pick<RefsMemory, 'latest'>): RefsCheck | undefined {
  if (all === undefined || branches === undefined) return branches ?? all;
  return all.sentAtMs > branches.sentAtMs ? all : branches;
}

export interface RefsLedgerOptions {
  readonly now: () => number;
  readonly intervalMs: number;
  /** Default: its own. */
  readonly memory?: RefsMemory;
  ask(scope: RefsScope, asker: Asker): Promise<RefsOk | Refused | Failure>;
  /** Called with each check that replaced what was known of its scope, and with him who caused it. */
  onCheck(check: RefsCheck, asker: Asker): void;
}

const MAX_UNDER_WAY = 2;

interface Lane {
  readonly underWay: Set<Promise<RefsAnswer>>;
  waiting: Promise<RefsAnswer> | undefined;
}

export class RefsLedger {
  readonly #options: RefsLedgerOptions;
  readonly #lanes: Readonly<Record<RefsScope, Lane>> = { branches: newLane(), all: newLane() };
  readonly #known: RefsMemory;

  constructor(options: RefsLedgerOptions) {
    this.#options = options;
    this.#known = options.memory ?? createRefsMemory();
  }

  /** The youngest check of any scope, however old. */
  latest(scope: RefsScope = 'branches'): RefsCheck | undefined {
    return scope === 'all' ? this.#known.latest.all : youngestCheck(this.#known);
  }

  /** From now on only checks sent later count. */
  forget(): void {
    this.#known.onlyAfterMs = this.#options.now();
  }

  /** Takes a list of all refs that upstream gave in another way (a v0 advertisement). */
  note(check: RefsCheck, asker: Asker): void {
    this.#keep(check, asker);
  }

  /** Takes what an earlier process knew, or another one. Anything learned since counts more. True where it was news. */
  restore(check: RefsCheck): boolean {
    const { latest } = this.#known;
    const before = latest[check.scope];
    if (before !== undefined && before.sentAtMs >= check.sentAtMs) return false;
    latest[check.scope] = check;
    return true;
  }

  /** What `asking` may be shown. Rejects with `aborted` alone. */
  async get(scope: RefsScope, asking: RefsAsking): Promise<RefsAnswer> {
    const latest = this.latest(scope);
    if (latest !== undefined && this.#mayUse(latest, asking.arrivedAtMs)) return { kind: 'known', check: latest };
    const lane = this.#lanes[scope];
    const joined = lane.waiting;
    const answer = await raceSignal(joined ?? this.#begin(scope, lane, asking.asker), asking.signal);
    if (joined !== undefined && answer.kind === 'failed' && isPersonal(answer.failure)) {
      return raceSignal(this.#send(scope, lane, asking.asker), asking.signal);
    }
    return answer;
  }

  #mayUse(check: RefsCheck, arrivedAtMs: number): boolean {
    const { now, intervalMs } = this.#options;
    if (check.sentAtMs <= this.#known.onlyAfterMs) return false;
    if (check.sentAtMs > arrivedAtMs) return true;
    const ageMs = now() - check.sentAtMs;
    // A clock that was set back must not keep old refs young.
    return ageMs >= 0 && ageMs < intervalMs;
  }

  #begin(scope: RefsScope, lane: Lane, asker: Asker): Promise<RefsAnswer> {
    if (lane.underWay.size < MAX_UNDER_WAY) return this.#send(scope, lane, asker);
    const ended = Promise.race(lane.underWay).catch(() => undefined);
    const answer = ended.then(() => {
      lane.waiting = undefined;
      return this.#send(scope, lane, asker);
    });
    lane.waiting = answer;
    return answer;
  }

  /** The check serves others too: it does not end with the one who started it. */
  #send(scope: RefsScope, lane: Lane, asker: Asker): Promise<RefsAnswer> {
    const sentAtMs = this.#options.now();
    const answer = this.#options
      .ask(scope, asker)
      .then((outcome): RefsAnswer => {
        if (outcome.kind !== 'ok') return { kind: 'failed', failure: outcome };
        return { kind: 'known', check: this.#keep({ scope, refs: outcome.refs, sentAtMs }, asker) };
      })
      .finally(() => lane.underWay.delete(answer));
    lane.underWay.add(answer);
    return answer;
  }

  /** The same check, of the list that is known already where upstream's has not changed, with all that was made of it. */
  #keep(came: RefsCheck, asker: Asker): RefsCheck {
    const { latest } = this.#known;
    const before = latest[came.scope];
    const check =
      before !== undefined && isEqualSnapshot(before.refs, came.refs) ? { ...came, refs: before.refs } : came;
    if (before !== undefined && before.sentAtMs > check.sentAtMs) return check;
    latest[check.scope] = check;
    this.#options.onCheck(check, asker);
    return check;
  }
}

/** What another client's credential met may not be met by ours. */
function isPersonal(failure: Failure | Refused): boolean {
  return failure.kind === 'denied' || failure.kind === 'throttled';
}

function newLane(): Lane {
  return { underWay: new Set(), waiting: undefined };
}
