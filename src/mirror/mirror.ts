/**
 * One repository's local copy, behind one facade: what is here (`snapshot`), what upstream says its refs are (`refs`), and
 * the work that brings the one up to the other. Nothing here decides who may read.
 */
import { raceSignal, sleep } from '../bytes/abort.ts';
import { isHotpackError } from '../bytes/error.ts';
import type { Oid } from '../bytes/oid.ts';
import type { JobOutcome, JobPriority } from '../jobs/job.ts';
import type { RefsSnapshot } from '../protocol/refs-snapshot.ts';
import { failureOf } from '../upstream/failure.ts';
import { fetchPack, ownFetch } from '../upstream/fetch-pack.ts';
import type { StorageWriter } from '../storage/contract.ts';
import type { Repository } from '../upstream/repository.ts';
import { Backoff } from './backoff.ts';
import type { FillRequest } from './fill.ts';
import { runFill } from './fill.ts';
import { LocalCopy, missingOf } from './local-copy.ts';
import type { RefsAnswer, RefsAsking, RefsCheck, RefsScope } from './refs/refs-ledger.ts';
import { BRANCH_PREFIXES, RefsLedger } from './refs/refs-ledger.ts';
import { advertisedOids, branchTips, combineRefs, sameRefs } from './refs/tips.ts';
import { unconfirmedWants } from './servable.ts';
import type { Asker, MirrorContext, MirrorServices } from './services.ts';
import type { MirrorSnapshot } from './snapshot.ts';
import type { UpdateOutcome } from './update.ts';
import { fetchWants, runUpdate } from './update.ts';

/** How long a client waits for wants that are fetched for him, and how many bytes that may be (DESIGN 2). */
const OBTAIN_MS = 5_000;
const OBTAIN_BYTES = 16 * 1024 * 1024;
/** How long upstream's no to an object name is remembered. */
const REFUSED_MS = 5_000;
const MAX_REMEMBERED = 4096;

/** `later`: it takes longer than a client should wait; the work goes on. */
export type Obtained =
  | { readonly kind: 'here' }
  | { readonly kind: 'later' }
  | { readonly kind: 'refused'; readonly message: string };

export type MirrorState = 'absent' | 'filling' | 'ready' | 'failed';

export class Mirror {
  readonly repository: Repository;
  readonly #services: MirrorServices;
  readonly #copy: LocalCopy;
  readonly #context: MirrorContext;
  readonly #ledger: RefsLedger;
  readonly #backoff: Backoff;
  readonly #refused = new Map<Oid, { readonly untilMs: number; readonly message: string }>();
  readonly #confirmedAtMs = new Map<Oid, number>();
  #filling = false;
  #asker: Asker | undefined;

  constructor(repository: Repository, services: MirrorServices) {
    this.repository = repository;
    this.#services = services;
    const { storage, cacheBytes, now, logger } = services;
    this.#copy = new LocalCopy({
      storage,
      repositoryKey: repository.key,
      cacheBytes,
      now,
      onDamage: (error) => logger.error('mirror_damaged', { repo: repository.name, error }),
    });
    this.#context = { repository, services, copy: this.#copy };
    this.#backoff = new Backoff(now);
    this.#ledger = new RefsLedger({
      now,
      intervalMs: services.refCheckIntervalMs,
      ask: (scope, asking) =>
        services.upstream.lsRefs(
          repository,
          { prefixes: scope === 'all' ? [] : BRANCH_PREFIXES, capabilities: asking.capabilities },
          { credential: asking.credential },
        ),
      onCheck: (check, asking) => this.#onCheck(check, asking),
    });
  }

  get state(): MirrorState {
    if (this.#filling) return 'filling';
    return this.#backoff.failures > 0 ? 'failed' : 'absent';
  }

  /** To be released by the caller. Undefined: nothing is here. */
  snapshot(signal?: AbortSignal): Promise<MirrorSnapshot | undefined> {
    return this.#copy.snapshot(signal);
  }

  /** Upstream's refs, young enough for who asks. */
  refs(scope: RefsScope, asking: RefsAsking, asker: Asker): Promise<RefsAnswer> {
    this.#asker = asker;
    return this.#ledger.get(scope, asking);
  }

  /** Upstream's refs as last known, however old; undefined where this process never asked. */
  knownRefs(): RefsSnapshot | undefined {
    const branches = this.#ledger.latest('branches');
    return branches && combineRefs(branches.refs, this.#ledger.latest('all')?.refs);
  }

  /** Takes a list of all refs that came with an access check. */
  noteRefs(check: RefsCheck, asking: RefsAsking, asker: Asker): void {
    this.#asker = asker;
    this.#ledger.note(check, asking);
  }

  /** Something was pushed through us: refs known so far count for nothing. */
  pushed(): void {
    this.#ledger.forget();
  }

  async noteVisibility(seen: 'public' | 'private'): Promise<void> {
    if ((await this.#copy.noteVisibility(seen)) === 'reset') {
      this.#services.logger.info('mirror_reset', { repo: this.repository.name, visibility: seen });
    }
  }

  /** Starts the first fill. A stream that is not taken is left to itself. */
  fill(request: FillRequest): 'started' | 'under_way' | 'backing_off' {
    if (this.#filling) return 'under_way';
    if (this.#backoff.isBlocked) return 'backing_off';
    this.#filling = true;
    const { jobs, logger, now } = this.#services;
    const repo = this.repository.name;
    const startedAtMs = now();
    const handle = jobs.submit({
      kind: 'fill',
      repo,
      key: `fill:${repo}`,
      priority: request.stream === undefined ? 'soon' : 'client-waits',
      abandonWhenUnwatched: false,
      run: async (signal: AbortSignal) => {
        const present = await this.#copy.snapshot(signal);
        present?.release();
        if (present !== undefined) return 'filled';
        logger.info('fill_started', { repo, from: request.stream === undefined ? 'fetch' : 'clone' });
        return runFill(this.#context, request, signal);
      },
    });
    void handle.done.then((outcome) => {
      this.#filling = false;
      request.stream?.leave();
      if (outcome.kind === 'done') {
        this.#backoff.succeeded();
        logger.info('fill_ended', { repo, ms: now() - startedAtMs });
      } else if (outcome.kind === 'failed') {
        this.#backoff.failed();
        logger.warn('fill_failed', { repo, error: outcome.error, retryAtMs: this.#backoff.blockedUntilMs });
      }
    });
    return 'started';
  }

  /** Gets objects that a client wants and that are not here, by hash. */
  async obtain(wants: readonly Oid[], asker: Asker, signal: AbortSignal): Promise<Obtained> {
    const remembered = wants.map((oid) => this.#refusal(oid)).find((refusal) => refusal !== undefined);
    if (remembered !== undefined) return { kind: 'refused', message: remembered };

    let received = 0;
    const tooLarge = Promise.withResolvers<Obtained>();
    const known = this.knownRefs();
    const isShown = known !== undefined && wants.every((oid) => advertisedOids(known).has(oid));
    const done: Promise<JobOutcome<unknown>> = isShown
      ? this.#update('client-waits', asker)
      : this.#services.jobs.submit<unknown>({
          kind: 'update',
          repo: this.repository.name,
          key: `wants:${this.repository.name}:${wants.toSorted().join()}`,
          priority: 'client-waits',
          abandonWhenUnwatched: false,
          run: (jobSignal: AbortSignal) =>
            fetchWants(
              this.#context,
              {
                wants,
                asker,
                onBytes: (bytes) => {
                  received += bytes;
                  if (received > OBTAIN_BYTES) tooLarge.resolve({ kind: 'later' });
                },
              },
              jobSignal,
            ),
        }).done;
    const finished = done.then((outcome): Obtained => {
      if (outcome.kind === 'done') return { kind: 'here' };
      if (outcome.kind === 'failed' && isHotpackError(outcome.error, 'upstream_refused')) {
        const message = String(outcome.error.detail['message']);
        for (const oid of wants) this.#remember(oid, message);
        return { kind: 'refused', message };
      }
      return { kind: 'later' };
    });
    const timer = new AbortController();
    const late = sleep(OBTAIN_MS, timer.signal).then((): Obtained => ({ kind: 'later' }));
    late.catch(() => undefined);
    try {
      return await raceSignal(Promise.race([finished, late, tooLarge.promise]), signal);
    } finally {
      timer.abort();
    }
  }

  /** Those of `wants`, all of them here, that only upstream can allow to be given away. */
  unconfirmedWants(snapshot: MirrorSnapshot, wants: readonly Oid[], signal: AbortSignal): Promise<readonly Oid[]> {
    return unconfirmedWants({
      snapshot,
      wants,
      advertised: this.knownRefs() ?? snapshot.held,
      confirmedAtMs: this.#confirmedAtMs,
      nowMs: this.#services.now(),
      signal,
    });
  }

  /** Asks upstream for objects that are here already: as wants and haves at once they cost it an empty pack, or its no. */
  async confirmWants(wants: readonly Oid[], asker: Asker, signal: AbortSignal): Promise<Obtained> {
    const answer = await fetchPack(this.#services.upstream, this.repository, ownFetch(wants, wants), {
      credential: asker.credential,
      capabilities: asker.capabilities,
      signal,
      purpose: 'update',
    });
    if (answer.kind === 'refused') return answer;
    if (answer.kind !== 'pack') throw failureOf(answer);
    // oxlint-disable-next-line no-unreachable-loop -- leaving at once ends the request
    for await (const _chunk of answer.chunks) break;
    if (this.#confirmedAtMs.size > MAX_REMEMBERED) this.#confirmedAtMs.clear();
    for (const oid of wants) this.#confirmedAtMs.set(oid, this.#services.now());
    return { kind: 'here' };
  }

  /** Room for an object too large for memory; to be aborted after use. */
  openScratch(): Promise<StorageWriter> {
    return this.#services.storage.openWriter(`${this.#copy.keys.packFolder}/scratch-${crypto.randomUUID()}`);
  }

  /** Lets go of open packs where nobody reads. True where it did. */
  async closeIfIdle(): Promise<boolean> {
    if (this.#filling || !(await this.#copy.isIdle())) return false;
    await this.#copy.close();
    return true;
  }

  #onCheck(check: RefsCheck, asking: RefsAsking): void {
    const { credential, capabilities } = asking;
    const asker: Asker = this.#asker ?? { credential, capabilities, visibility: 'unknown' };
    void this.#copy
      .snapshot()
      .then((snapshot) => {
        if (snapshot === undefined) return;
        const known = this.knownRefs() ?? check.refs;
        const isCurrent =
          missingOf(snapshot, branchTips(known)).length === 0 &&
          sameRefs(snapshot.held, { ...known, refs: known.refs.filter((ref) => snapshot.store.find(ref.oid) >= 0) });
        snapshot.release();
        if (!isCurrent) void this.#update('soon', asker);
      })
      .catch((error: unknown) => this.#services.logger.warn('storage_failed', { repo: this.repository.name, error }));
  }

  #update(priority: JobPriority, asker: Asker): Promise<JobOutcome<UpdateOutcome>> {
    const { jobs, logger } = this.#services;
    const repo = this.repository.name;
    const { done } = jobs.submit({
      kind: 'update',
      repo,
      key: `update:${repo}`,
      priority,
      abandonWhenUnwatched: false,
      run: async (signal: AbortSignal) => {
        const refs = this.knownRefs();
        if (refs === undefined) return 'absent';
        const outcome = await runUpdate(this.#context, { refs, asker }, signal);
        if (outcome === 'replaced') logger.info('mirror_reset', { repo });
        return outcome;
      },
    });
    void done.then((outcome) => {
      if (outcome.kind === 'failed') logger.warn('ingest_failed', { repo, error: outcome.error });
    });
    return done;
  }

  #refusal(oid: Oid): string | undefined {
    const refusal = this.#refused.get(oid);
    if (refusal === undefined) return undefined;
    if (refusal.untilMs > this.#services.now()) return refusal.message;
    this.#refused.delete(oid);
    return undefined;
  }

  #remember(oid: Oid, message: string): void {
    if (this.#refused.size >= MAX_REMEMBERED) this.#refused.clear();
    this.#refused.set(oid, { untilMs: this.#services.now() + REFUSED_MS, message });
  }
}
