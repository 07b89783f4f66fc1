/**
 * One repository's local copy, behind one facade: what is here (`snapshot`), what upstream says its refs are (`refs`), and
 * the work that brings the one up to the other. Nothing here decides who may read, and no credential is kept: work that a
 * request causes asks upstream as that request's client, and lets go of him when it ends.
 */
import { sleep } from '../bytes/abort.ts';
import type { Oid } from '../bytes/oid.ts';
import type { JobOutcome, JobPriority } from '../jobs/job.ts';
import type { RefsSnapshot } from '../protocol/refs-snapshot.ts';
import type { StorageWriter } from '../storage/contract.ts';
import type { Repository } from '../upstream/repository.ts';
import { Backoff } from './backoff.ts';
import type { FillRequest } from './fill.ts';
import { runFill } from './fill.ts';
import { LocalCopy, missingOf } from './local-copy.ts';
import { Advertised } from './refs/advertised.ts';
import type { RefsAnswer, RefsAsking, RefsCheck, RefsScope } from './refs/refs-ledger.ts';
import { BRANCH_PREFIXES, RefsLedger } from './refs/refs-ledger.ts';
import { branchTips, combineRefs, sameRefs } from './refs/tips.ts';
import type { Asker, MirrorContext, MirrorServices } from './services.ts';
import { submitJob } from './services.ts';
import type { MirrorSnapshot } from './snapshot.ts';
import type { UpdateOutcome } from './update.ts';
import { runUpdate } from './update.ts';
import type { Confirmed, Obtained } from './wants.ts';
import { Wants } from './wants.ts';

/** Background publications of one repository are at least this far apart (DESIGN 4); nobody waits for those. */
const PUBLISH_INTERVAL_MS = 1_000;

export class Mirror {
  readonly repository: Repository;
  readonly #services: MirrorServices;
  readonly #copy: LocalCopy;
  readonly #context: MirrorContext;
  readonly #ledger: RefsLedger;
  readonly #advertised: Advertised;
  readonly #wants: Wants;
  readonly #backoff: Backoff;
  #restoring: Promise<void> | undefined;
  #pushedAtMs = Number.NEGATIVE_INFINITY;
  #filling = false;
  #updateIsDue = false;

  constructor(repository: Repository, services: MirrorServices) {
    this.repository = repository;
    this.#services = services;
    const { storage, cacheBytes, now, logger } = services;
    this.#copy = new LocalCopy({
      storage,
      repositoryKey: repository.key,
      cacheBytes,
      now,
      onStored: services.onStored,
      onDamage: (error) => logger.error('mirror_damaged', { repo: repository.name, error }),
    });
    this.#context = { repository, services, copy: this.#copy };
    this.#advertised = new Advertised(storage, this.#copy.keys.advertised);
    this.#wants = new Wants(this.#context, (asker, onBytes) => this.#update('client-waits', asker, onBytes));
    this.#backoff = new Backoff(now);
    this.#ledger = new RefsLedger({
      now,
      intervalMs: services.refCheckIntervalMs,
      ask: (scope, { credential, capabilities }) =>
        services.upstream.lsRefs(
          repository,
          { prefixes: scope === 'all' ? [] : BRANCH_PREFIXES, capabilities },
          { credential },
        ),
      onCheck: (check, asker) => {
        this.#afterCheck(check, asker).catch((error: unknown) => this.#storageFailed(error));
      },
    });
  }

  /** To be released by the caller. Undefined: nothing is here. */
  async snapshot(signal?: AbortSignal): Promise<MirrorSnapshot | undefined> {
    const snapshot = await this.#copy.snapshot(signal);
    if (snapshot !== undefined) await this.#restored();
    return snapshot;
  }

  /** Upstream's refs, young enough for who asks. */
  async refs(scope: RefsScope, asking: RefsAsking): Promise<RefsAnswer> {
    // With an interval of 0 nothing that was kept could be used.
    if (this.#services.refCheckIntervalMs > 0) await this.#restored();
    return this.#ledger.get(scope, asking);
  }

  /** Upstream's refs as last known, however old; undefined where they are not known here. */
  knownRefs(): RefsSnapshot | undefined {
    const branches = this.#ledger.latest('branches');
    return branches && combineRefs(branches.refs, this.#ledger.latest('all')?.refs);
  }

  /** Takes a list of all refs that came with an access check. */
  noteRefs(check: RefsCheck, asker: Asker): void {
    this.#ledger.note(check, asker);
  }

  /** Something was pushed through us: refs known so far count for nothing. */
  pushed(): void {
    this.#pushedAtMs = this.#services.now();
    this.#ledger.forget();
    this.#advertised.forget().catch((error: unknown) => this.#storageFailed(error));
  }

  async noteVisibility(seen: 'public' | 'private'): Promise<void> {
    if ((await this.#copy.noteVisibility(seen)) === 'same') return;
    await this.#advertised.forget();
    this.#services.logger.info('mirror_reset', { repo: this.repository.name, visibility: seen });
  }

  /** Starts the first fill. A stream that is not taken is left to itself. */
  fill(request: FillRequest): 'started' | 'under_way' | 'backing_off' {
    if (this.#filling) return 'under_way';
    if (this.#backoff.isBlocked) return 'backing_off';
    this.#filling = true;
    const { jobs, logger, now } = this.#services;
    const repo = this.repository.name;
    const startedAtMs = now();
    const done = submitJob(jobs, {
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
        const outcome = await runFill(this.#context, request, signal);
        if (outcome === 'filled') await this.#keepAdvertised().catch((error: unknown) => this.#storageFailed(error));
        return outcome;
      },
    });
    void done.then((outcome) => {
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
  obtain(wants: readonly Oid[], asker: Asker, signal: AbortSignal): Promise<Obtained> {
    return this.#wants.obtain(wants, this.knownRefs(), asker, signal);
  }

  /** Those of `wants`, all of them here, that only upstream can allow to be given away. */
  unconfirmedWants(snapshot: MirrorSnapshot, wants: readonly Oid[], signal: AbortSignal): Promise<readonly Oid[]> {
    return this.#wants.unconfirmed(snapshot, wants, this.knownRefs(), signal);
  }

  /** Asks upstream for objects that are here already. Rejects where it gives no answer. */
  confirmWants(wants: readonly Oid[], asker: Asker, signal: AbortSignal): Promise<Confirmed> {
    return this.#wants.confirm(wants, asker, signal);
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

  /** Reads what an earlier process kept, once. That it cannot be read costs a question to upstream. */
  #restored(): Promise<void> {
    this.#restoring ??= this.#advertised.read().then(
      (kept) => {
        const nowMs = this.#services.now();
        // A time to come is a clock's fault: then they are as old as can be.
        const sentAtMs = kept === undefined || kept.sentAtMs > nowMs ? 0 : kept.sentAtMs;
        if (kept !== undefined) this.#ledger.restore({ scope: 'branches', refs: kept.refs, sentAtMs });
      },
      (error: unknown) => this.#storageFailed(error),
    );
    return this.#restoring;
  }

  async #afterCheck(check: RefsCheck, asker: Asker): Promise<void> {
    const snapshot = await this.snapshot();
    if (snapshot === undefined) return;
    let isCurrent: boolean;
    try {
      const known = this.knownRefs() ?? check.refs;
      isCurrent =
        missingOf(snapshot, branchTips(known)).length === 0 &&
        sameRefs(snapshot.held, { ...known, refs: known.refs.filter((ref) => snapshot.store.find(ref.oid) >= 0) });
    } finally {
      snapshot.release();
    }
    if (!isCurrent) this.#updateSoon(asker);
    await this.#keepAdvertised();
  }

  /** Only beside a mirror: where nothing is here, nothing is kept. */
  async #keepAdvertised(): Promise<void> {
    const latest = this.#ledger.latest('branches');
    const refs = this.knownRefs();
    if (latest === undefined || refs === undefined || latest.sentAtMs <= this.#pushedAtMs) return;
    await this.#advertised.write({ refs, sentAtMs: latest.sentAtMs });
  }

  #updateSoon(asker: Asker): void {
    // The one that is due takes what is known by then.
    if (this.#updateIsDue) return;
    this.#updateIsDue = true;
    const sinceMs = Math.max(0, this.#services.now() - this.#copy.publishedAtMs);
    const due = sinceMs >= PUBLISH_INTERVAL_MS ? Promise.resolve() : sleep(PUBLISH_INTERVAL_MS - sinceMs);
    void due.then(() => {
      this.#updateIsDue = false;
      void this.#update('soon', asker);
    });
  }

  #update(priority: JobPriority, asker: Asker, onBytes?: (bytes: number) => void): Promise<JobOutcome<UpdateOutcome>> {
    const { jobs, logger } = this.#services;
    const repo = this.repository.name;
    const done = submitJob<UpdateOutcome>(
      jobs,
      {
        kind: 'update',
        repo,
        key: `update:${repo}`,
        priority,
        abandonWhenUnwatched: false,
        run: async (signal, report) => {
          const refs = this.knownRefs();
          if (refs === undefined) return 'absent';
          let received = 0;
          const update = { refs, asker, onBytes: (bytes: number) => report((received += bytes)) };
          const outcome = await runUpdate(this.#context, update, signal);
          if (outcome === 'replaced') logger.info('mirror_reset', { repo });
          return outcome;
        },
      },
      (progress) => onBytes?.(Number(progress)),
    );
    void done.then((outcome) => {
      if (outcome.kind === 'failed') logger.warn('ingest_failed', { repo, error: outcome.error });
    });
    return done;
  }

  #storageFailed(error: unknown): void {
    this.#services.logger.warn('storage_failed', { repo: this.repository.name, error });
  }
}
