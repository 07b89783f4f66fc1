/**
 * Objects that clients name by hash and that no branch or tag here settles (DESIGN 2): those that are missing are fetched
 * from upstream, those that upstream shows no more are given away only on its word.
 *
 * Both are bounded: a client waits for at most `OBTAIN_MS` and `OBTAIN_BYTES`, then his own request passes through while the
 * work goes on, and upstream's no is remembered for a while. Within `OBTAIN_MS` no client needs a keep-alive. Jobs of one
 * repository run one at a time, so that never more than one such fetch asks an upstream for a repository.
 *
 * Memory: `MAX_REMEMBERED` object names each way.
 */
import { abortError, raceSignal, sleep } from '../../bytes/abort.ts';
import { isHotpackError } from '../../bytes/error.ts';
import type { Oid } from '../../bytes/oid.ts';
import type { JobOutcome } from '../../jobs/job.ts';
import type { RefsSnapshot } from '../../protocol/refs-snapshot.ts';
import { failureOf } from '../../upstream/failure.ts';
import { fetchPack, ownFetch } from '../../upstream/fetch-pack.ts';
import { branchTips } from '../refs/tips.ts';
import type { WantsMemory } from '../repository-memory.ts';
import { unconfirmedWants } from './servable.ts';
import type { Asker, MirrorContext, Submitted, Waiting, Watching } from '../services.ts';
import { submitJob } from '../services.ts';
import type { MirrorSnapshot } from '../copy/snapshot.ts';
import { fetchWants } from './update.ts';

const OBTAIN_MS = 5_000;
const OBTAIN_BYTES = 16 * 1024 * 1024;
const REFUSED_MS = 5_000;
const MAX_REMEMBERED = 4096;

/** `later`: it takes longer than a client should wait; the work goes on. */
export type Obtained =
  | { readonly kind: 'here' }
  | { readonly kind: 'later' }
  | { readonly kind: 'refused'; readonly message: string };

export type Confirmed = Exclude<Obtained, { readonly kind: 'later' }>;

/** Brings branches and tags up to date; `onBytes` is told how many bytes of pack have come in all. */
export type UpdateNow = (asker: Asker, onBytes: (bytes: number) => void) => Promise<JobOutcome<unknown>>;

export class Wants {
  readonly #context: MirrorContext;
  readonly #updateNow: UpdateNow;
  readonly #known: WantsMemory;

  constructor(context: MirrorContext, known: WantsMemory, updateNow: UpdateNow) {
    this.#context = context;
    this.#known = known;
    this.#updateNow = updateNow;
  }

  /** Gets `wants`, which are not here. `known`: upstream's refs as last known. */
  async obtain(
    wants: readonly Oid[],
    known: RefsSnapshot | undefined,
    asker: Asker,
    signal: AbortSignal,
  ): Promise<Obtained> {
    const remembered = wants.map((oid) => this.#refusal(oid)).find((refusal) => refusal !== undefined);
    if (remembered !== undefined) return { kind: 'refused', message: remembered };
    const { handOver } = this.#context.services;
    if (handOver !== undefined) {
      handOver(asker, wants);
      return { kind: 'later' };
    }

    const tooLarge = Promise.withResolvers<Obtained>();
    const onBytes = (bytes: number): void => {
      if (bytes > OBTAIN_BYTES) tooLarge.resolve({ kind: 'later' });
    };
    const tips = new Set(known === undefined ? [] : branchTips(known));
    const work = wants.every((oid) => tips.has(oid))
      ? this.#updateNow(asker, onBytes)
      : this.#fetch(wants, asker, onBytes).done;
    const finished = work.then((outcome) => this.#obtained(wants, outcome));
    const timer = new AbortController();
    const late = sleep(OBTAIN_MS, timer.signal).then((): Obtained => ({ kind: 'later' }));
    late.catch(() => undefined);
    try {
      return await raceSignal(Promise.race([finished, late, tooLarge.promise]), signal);
    } finally {
      timer.abort();
    }
  }

  /** Gets `wants` however long it takes. `refused`: upstream would not. Rejects with what else went wrong. */
  async fetchAll(wants: readonly Oid[], asker: Asker, waiting: Waiting): Promise<'here' | 'refused' | 'too_large'> {
    const { signal, onProgress, onQueued } = waiting;
    const job = this.#fetch(wants, asker, onProgress);
    onQueued?.(job.started);
    const outcome = await raceSignal(job.done, signal);
    const obtained = this.#obtained(wants, outcome);
    if (obtained.kind !== 'later') return obtained.kind;
    if (outcome.kind === 'done') return 'too_large';
    throw outcome.kind === 'failed' ? outcome.error : abortError(signal);
  }

  /** Those of `wants`, all of them in the snapshot, that only upstream can allow to be given away. */
  unconfirmed(
    snapshot: MirrorSnapshot,
    wants: readonly Oid[],
    known: RefsSnapshot | undefined,
    signal: AbortSignal,
  ): Promise<readonly Oid[]> {
    return unconfirmedWants({
      snapshot,
      wants,
      advertised: known ?? snapshot.held,
      confirmedAtMs: this.#known.confirmedAtMs,
      nowMs: this.#context.services.now(),
      signal,
    });
  }

  /** Asks upstream for objects that are here already: as wants and haves at once they cost it an empty pack, or its no. */
  async confirm(wants: readonly Oid[], asker: Asker, signal: AbortSignal): Promise<Confirmed> {
    const { repository, services } = this.#context;
    const askedAtMs = services.now();
    const answer = await fetchPack(services.upstream, repository, ownFetch(wants, wants), {
      credential: asker.credential,
      capabilities: asker.capabilities,
      signal,
      purpose: 'update',
    });
    if (answer.kind === 'refused') return answer;
    if (answer.kind !== 'pack') throw failureOf(answer);
    // oxlint-disable-next-line no-unreachable-loop -- leaving at once ends the request
    for await (const _chunk of answer.chunks) break;
    if (this.#known.confirmedAtMs.size + wants.length > MAX_REMEMBERED) this.#known.confirmedAtMs.clear();
    for (const oid of wants) this.#known.confirmedAtMs.set(oid, askedAtMs);
    return { kind: 'here' };
  }

  #fetch(wants: readonly Oid[], asker: Asker, onProgress: Watching['onProgress']): Submitted<unknown> {
    const repo = this.#context.repository.name;
    return submitJob<unknown>(
      this.#context.services.jobs,
      {
        kind: 'update',
        repo,
        key: `wants:${repo}:${wants.toSorted().join()}`,
        priority: 'client-waits',
        abandonWhenUnwatched: false,
        run: (signal, report) => {
          let received = 0;
          const request = { wants, asker, onBytes: (bytes: number) => report((received += bytes)) };
          return fetchWants(this.#context, request, signal);
        },
      },
      { onProgress },
    );
  }

  #obtained(wants: readonly Oid[], outcome: JobOutcome<unknown>): Obtained {
    // Where the mirror would be too large the client's own request passes through.
    if (outcome.kind === 'done') return { kind: outcome.value === 'too_large' ? 'later' : 'here' };
    if (outcome.kind === 'failed' && isHotpackError(outcome.error, 'upstream_refused')) {
      const message = String(outcome.error.detail['message']);
      // git names the one that it would not give; the others may be had.
      const named = wants.filter((oid) => wants.length === 1 || message.includes(oid));
      for (const oid of named) this.#remember(oid, message);
      return { kind: 'refused', message };
    }
    return { kind: 'later' };
  }

  #refusal(oid: Oid): string | undefined {
    const refusal = this.#known.refused.get(oid);
    if (refusal === undefined) return undefined;
    if (refusal.untilMs > this.#context.services.now()) return refusal.message;
    this.#known.refused.delete(oid);
    return undefined;
  }

  #remember(oid: Oid, message: string): void {
    if (this.#known.refused.size >= MAX_REMEMBERED) this.#known.refused.clear();
    this.#known.refused.set(oid, { untilMs: this.#context.services.now() + REFUSED_MS, message });
  }
}
