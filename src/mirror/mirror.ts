/**
 * One repository's local copy, behind one facade: what is here (`snapshot`), what upstream says its refs are (`refs`), and
 * the work that brings the one up to the other. Nothing here decides who may read, and no credential is kept: work that a
 * request causes asks upstream as that request's client, and lets go of him when it ends.
 */
import { raceSignal, sleep } from '../bytes/abort.ts';
import { isHotpackError } from '../bytes/error.ts';
import type { Oid } from '../bytes/oid.ts';
import type { Job, JobPriority } from '../jobs/job.ts';
import type { RefsSnapshot } from '../protocol/refs-snapshot.ts';
import { failureOf } from '../upstream/failure.ts';
import type { Repository } from '../upstream/repository.ts';
import type { FillOutcome, FillRequest } from './fetching/fill.ts';
import { runFill } from './fetching/fill.ts';
import { FILL_CLAIM_TTL_MS, fillOnce } from './fetching/fill-claim.ts';
import { LocalCopy, missingOf } from './copy/local-copy.ts';
import type { FillRoom } from './maintenance/space/fill-rooms.ts';
import { Maintenance } from './maintenance/maintenance.ts';
import { Advertised } from './refs/advertised.ts';
import type { BoundaryCheck } from './refs/boundary-check.ts';
import type { RefsAnswer, RefsAsking, RefsCheck, RefsScope } from './refs/refs-ledger.ts';
import { BRANCH_PREFIXES, RefsLedger } from './refs/refs-ledger.ts';
import { branchTips, combineRefs, sameRefs } from './refs/tips.ts';
import { RepositoryMemory } from './repository-memory.ts';
import type { Asker, MirrorContext, MirrorServices, Submitted, Waiting, Watching } from './services.ts';
import { submitJob, valueOf } from './services.ts';
import { giveUpMirror, SizeLimit, type TooMuch } from './fetching/size-limit.ts';
import type { MirrorSnapshot } from './copy/snapshot.ts';
import type { UpdateOutcome } from './fetching/update.ts';
import { runUpdate } from './fetching/update.ts';
import type { Confirmed, Obtained } from './fetching/wants.ts';
import { Wants } from './fetching/wants.ts';

/** Background publications of one repository are at least this far apart (DESIGN 4); nobody waits for those. */
const PUBLISH_INTERVAL_MS = 1_000;
const NOTE_USE_MS = 60 * 60 * 1000;

/** `fetched`: what upstream shows was not all here. `cloned`: nothing was. `empty`: upstream has no objects.
 * `staged`: a part of the first fill is done, and the next call goes on from there. `TooMuch`: there is no mirror of it. */
export type WarmOutcome = 'unchanged' | 'fetched' | 'cloned' | 'empty' | 'staged' | TooMuch;

/** `elsewhere`: another instance is at it. */
type Filled = FillOutcome | 'elsewhere';

export class Mirror {
  readonly repository: Repository;
  readonly #services: MirrorServices;
  readonly #copy: LocalCopy;
  readonly #context: MirrorContext;
  readonly #limit: SizeLimit;
  readonly #maintenance: Maintenance;
  readonly #ledger: RefsLedger;
  readonly #boundary: BoundaryCheck;
  readonly #advertised: Advertised;
  readonly #wants: Wants;
  readonly #memory: RepositoryMemory;
  #restoring: Promise<void> | undefined;
  #filling: Submitted<Filled> | undefined;
  /** On whose behalf `warm` asks: it does the update that its own checks find due. */
  #warmer: Asker | undefined;
  #updateIsDue = false;

  constructor(
    repository: Repository,
    services: MirrorServices,
    memory: RepositoryMemory = new RepositoryMemory(services),
  ) {
    this.repository = repository;
    this.#services = services;
    this.#memory = memory;
    const { storage, cacheBytes, threads, now, logger } = services;
    this.#copy = new LocalCopy({
      storage,
      repositoryKey: repository.key,
      cacheBytes,
      threads,
      now,
      onStored: (packs) => {
        services.onStored?.();
        this.#maintenance.packsChanged(packs);
      },
      makeRoom: (signal) => this.#maintenance.makeRoom(signal),
      onEmptied: () => services.onEmptied?.(repository),
      onDamage: (error) => logger.error('mirror_damaged', { repo: repository.name, error }),
      memory: memory.copy,
      tables: services.tables,
    });
    this.#limit = new SizeLimit({
      storage,
      repositoryKey: repository.key,
      maxBytes: services.maxMirrorBytes ?? 0,
      now,
      memory: memory.limit,
    });
    this.#context = { repository, services, copy: this.#copy, limit: this.#limit };
    this.#maintenance = new Maintenance(this.#context);
    this.#advertised = new Advertised(storage, this.#copy.keys.advertised, memory.advertised);
    this.#wants = new Wants(
      this.#context,
      memory.wants,
      (asker, onBytes) => this.#update('client-waits', asker, { onProgress: onBytes }).done,
    );
    this.#boundary = memory.boundary;
    this.#ledger = new RefsLedger({
      now,
      intervalMs: services.refCheckIntervalMs,
      memory: memory.refs,
      ask: (scope, { credential, capabilities }) =>
        services.upstream.lsRefs(
          repository,
          { prefixes: scope === 'all' ? [] : BRANCH_PREFIXES, capabilities },
          { credential },
        ),
      onCheck: (check, asker) => {
        this.#background(this.#afterCheck(check, asker).catch((error: unknown) => this.#storageFailed(error)));
      },
    });
  }

  /** For a client's answer; to be released by the caller. Undefined: nothing is here. */
  async snapshot(signal?: AbortSignal): Promise<MirrorSnapshot | undefined> {
    const snapshot = await this.#openSnapshot(signal);
    if (snapshot !== undefined) this.#noteUse();
    return snapshot;
  }

  /** The same for work that nobody asked for: it is no use of the mirror. */
  peek(signal?: AbortSignal): Promise<MirrorSnapshot | undefined> {
    return this.#openSnapshot(signal);
  }

  async #openSnapshot(signal?: AbortSignal): Promise<MirrorSnapshot | undefined> {
    const snapshot = await this.#copy.snapshot(signal);
    if (snapshot !== undefined) await this.#restored();
    return snapshot;
  }

  /** True where there is something to serve from. */
  async isHere(signal?: AbortSignal): Promise<boolean> {
    const snapshot = await this.#copy.snapshot(signal);
    snapshot?.release();
    return snapshot !== undefined;
  }

  /** What became of the first fill in this process; `idle`: none was tried, or it has ended well. */
  get fillState(): 'filling' | 'failed' | 'idle' {
    if (this.#filling !== undefined) return 'filling';
    return this.#memory.backoff.failures > 0 ? 'failed' : 'idle';
  }

  /** True where it was found larger than a mirror may be, and it is not tried to fill it. */
  get isTooLarge(): boolean {
    return this.#limit.isBroken;
  }

  /** When upstream was last asked for its refs; undefined: never. */
  get refsCheckedAtMs(): number | undefined {
    return this.#ledger.latest('branches')?.sentAtMs;
  }

  /** When a client last asked for refs; undefined: not in this process. */
  get lastAskedAtMs(): number | undefined {
    return this.#memory.askedAtMs;
  }

  /** Upstream's refs, young enough for who asks. */
  async refs(scope: RefsScope, asking: RefsAsking): Promise<RefsAnswer> {
    if (asking.asker !== this.#warmer) this.#memory.askedAtMs = asking.arrivedAtMs;
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
    this.#memory.pushedAtMs = this.#services.now();
    this.#ledger.forget();
    this.#background(this.#advertised.forget().catch((error: unknown) => this.#storageFailed(error)));
  }

  async noteVisibility(seen: 'public' | 'private'): Promise<void> {
    if ((await this.#copy.noteVisibility(seen)) === 'same') return;
    await this.#advertised.forget();
    this.#services.logger.info('mirror_reset', { repo: this.repository.name, visibility: seen });
  }

  /** True where others do the work that no client waits for, and were told. */
  handsOver(asker: Asker): boolean {
    const { handOver } = this.#services;
    handOver?.(asker, []);
    return handOver !== undefined;
  }

  /** Starts the first fill. A stream that is not taken is left to itself. */
  fill(request: FillRequest): 'started' | 'under_way' | 'backing_off' | 'too_large' {
    if (this.isTooLarge) return 'too_large';
    if (this.#filling !== undefined) return 'under_way';
    if (this.#memory.backoff.isBlocked) return 'backing_off';
    void this.#fill(request, request.stream === undefined ? 'soon' : 'client-waits');
    return 'started';
  }

  /**
   * Brings it up to what upstream shows now, on hotpack's own behalf, while nobody waits for it. Work that nobody else has joined
   * ends with the signal. `room`: what a first fill may bring. Rejects with what went wrong (`failureOf`, `timeout`, …); that is the
   * caller's to log.
   */
  async warm(asker: Asker, waiting: Waiting, room?: FillRoom): Promise<WarmOutcome> {
    const { signal } = waiting;
    this.#warmer = asker;
    const answer = await this.refs('branches', { arrivedAtMs: this.#services.now(), asker, signal });
    if (answer.kind === 'failed') throw failureOf(answer.failure);
    const isCurrent = await this.#isCurrent(answer.check.refs);
    if (isCurrent === 'current') return 'unchanged';
    if (isCurrent === 'too_large') await giveUpMirror(this.#context);
    if (isCurrent === 'too_large' || this.isTooLarge) return 'too_large';
    if (isCurrent === 'behind') {
      const updated = await valueOf(this.#update('background', asker, waiting), waiting);
      if (updated !== 'absent') return updated === 'too_large' ? updated : 'fetched';
    }
    const request: FillRequest = { refs: answer.check.refs, asker, room };
    let filled = await valueOf(this.#filling ?? this.#fill(request, 'background', waiting), waiting);
    // A client's fill does not wait for another instance's, this one does.
    if (filled === 'elsewhere') filled = await valueOf(this.#fill(request, 'background', waiting), waiting);
    return filled === 'filled' || filled === 'elsewhere' ? 'cloned' : filled;
  }

  /** Gets objects that a client wants and that are not here, by hash. */
  obtain(wants: readonly Oid[], asker: Asker, signal: AbortSignal): Promise<Obtained> {
    return this.#wants.obtain(wants, this.knownRefs(), asker, signal);
  }

  /** Gets objects by hash however long it takes. */
  fetchWants(wants: readonly Oid[], asker: Asker, waiting: Waiting): Promise<'here' | 'refused' | 'too_large'> {
    return this.#wants.fetchAll(wants, asker, waiting);
  }

  /** Whether upstream's own history is cut, so that ours is not what it would give. */
  isShallowUpstream(asking: RefsAsking): Promise<boolean> {
    const { arrivedAtMs, asker, signal } = asking;
    return this.#boundary.isShallow(arrivedAtMs, () =>
      this.#services.upstream.probe(this.repository, { credential: asker.credential, gitProtocol: 0, signal }),
    );
  }

  /** Those of `wants`, all of them here, that only upstream can allow to be given away, by what is known here or was noted elsewhere. */
  async unconfirmedWants(
    snapshot: MirrorSnapshot,
    wants: readonly Oid[],
    signal: AbortSignal,
  ): Promise<readonly Oid[]> {
    const unconfirmed = await this.#wants.unconfirmed(snapshot, wants, this.knownRefs(), signal);
    // Who fetched them saw them shown, and that may have been another process, or another event.
    if (unconfirmed.length === 0 || !(await raceSignal(this.#restore(), signal))) return unconfirmed;
    return this.#wants.unconfirmed(snapshot, unconfirmed, this.knownRefs(), signal);
  }

  /** Asks upstream for objects that are here already. Rejects where it gives no answer. */
  confirmWants(wants: readonly Oid[], asker: Asker, signal: AbortSignal): Promise<Confirmed> {
    return this.#wants.confirm(wants, asker, signal);
  }

  /** Lets go of open packs where nobody reads. True where it did. */
  async closeIfIdle(): Promise<boolean> {
    if (this.#filling !== undefined || !(await this.#copy.isIdle())) return false;
    await this.#copy.close();
    return true;
  }

  /** Removes it from the store, unless it is in use. True where it did. */
  async evict(): Promise<boolean> {
    if (this.#filling !== undefined) return false;
    return this.#copy.evict();
  }

  /** When a client was last answered from it by this process; undefined: never. */
  get usedAtMs(): number | undefined {
    return this.#memory.usedAtMs;
  }

  #noteUse(): void {
    const nowMs = this.#services.now();
    this.#memory.usedAtMs = nowMs;
    if (nowMs - this.#memory.useNotedAtMs < NOTE_USE_MS) return;
    this.#memory.useNotedAtMs = nowMs;
    const text = new TextEncoder().encode(`${new Date(nowMs).toISOString()}\n`);
    const noted = this.#services.storage.put(this.#copy.keys.used, text);
    this.#background(noted.catch((error: unknown) => this.#storageFailed(error)));
  }

  /** Work that goes on behind the answer. Never rejects. */
  #background(work: Promise<unknown>): void {
    this.#services.keepAlive?.(work);
  }

  /** Reads what an earlier process kept, once. That it cannot be read costs a question to upstream. */
  #restored(): Promise<void> {
    if (this.#memory.advertised.isRead) return Promise.resolve();
    this.#restoring ??= this.#restore().then(() => undefined);
    return this.#restoring;
  }

  /** True where what is kept in the store was news. Never rejects. */
  async #restore(): Promise<boolean> {
    try {
      const kept = await this.#advertised.read();
      if (kept === undefined) return false;
      // A time to come is a clock's fault: then they are as old as can be.
      const sentAtMs = kept.sentAtMs > this.#services.now() ? 0 : kept.sentAtMs;
      return this.#ledger.restore({ scope: 'branches', refs: kept.refs, sentAtMs });
    } catch (error) {
      this.#storageFailed(error);
      return false;
    }
  }

  /** Submits the first fill. Background ones end with the signal of `watching`, and who waits logs their failures. */
  #fill(request: FillRequest, priority: JobPriority, watching?: Watching): Submitted<Filled> {
    const { jobs, logger, now } = this.#services;
    const repo = this.repository.name;
    const startedAtMs = now();
    const isBackground = priority === 'background';
    const job: Job<Filled> = {
      kind: 'fill',
      repo,
      key: `fill:${repo}`,
      priority,
      abandonWhenUnwatched: isBackground,
      run: async (signal, report) => {
        const fill = async (): Promise<FillOutcome> => {
          if (await this.#limit.recall(signal)) return 'too_large';
          logger.info('fill_started', { repo, from: request.stream === undefined ? 'fetch' : 'clone' });
          let received = 0;
          const onBytes = (bytes: number): void => report((received += bytes));
          const outcome = await runFill(this.#context, { ...request, onBytes }, signal);
          if (outcome === 'filled') await this.#keepAdvertised().catch((error: unknown) => this.#storageFailed(error));
          return outcome;
        };
        const isHere = (): Promise<boolean> => this.isHere(signal);
        const { fillClaims: claims } = this.#services;
        const repositoryKey = this.repository.key;
        return fillOnce<FillOutcome>({ claims, repositoryKey, isHere, fill, waits: isBackground, signal });
      },
    };
    const submitted = submitJob(jobs, job, watching);
    const done = submitted.done.then((outcome) => {
      this.#filling = undefined;
      if (outcome.kind === 'failed' && isDamagedPack(outcome.error)) request.stream?.reject();
      request.stream?.leave();
      if (outcome.kind === 'done') {
        this.#memory.backoff.succeeded();
        const { value } = outcome;
        const event = value === 'elsewhere' ? 'fill_elsewhere' : 'fill_ended';
        logger.info(event, { repo, outcome: value, ms: now() - startedAtMs });
        if (value === 'filled') this.#services.onMoved?.(this.repository);
        if (value === 'elsewhere') void this.#fillLater(request);
        else if (value === 'filled') this.#background(this.#maintenance.see());
      } else if (outcome.kind === 'failed') {
        this.#memory.backoff.failed();
        const fields = { repo, error: outcome.error, retryAtMs: this.#memory.backoff.blockedUntilMs };
        if (!isBackground) logger.warn('fill_failed', fields);
      }
      return outcome;
    });
    this.#filling = { started: submitted.started, done };
    return this.#filling;
  }

  /** Who is at a fill may die: then nobody is, once its claim has run out. */
  async #fillLater({ refs, asker }: FillRequest): Promise<void> {
    await sleep(FILL_CLAIM_TTL_MS);
    const isHere = await this.isHere().catch(() => false);
    if (!isHere && this.#filling === undefined) void this.#fill({ refs, asker }, 'soon');
  }

  async #afterCheck(check: RefsCheck, asker: Asker): Promise<void> {
    const isCurrent = await this.#isCurrent(check.refs);
    if (isCurrent === 'absent') return;
    if (isCurrent === 'too_large') return giveUpMirror(this.#context);
    if (isCurrent === 'behind' && asker !== this.#warmer) this.#updateSoon(asker);
    await this.#keepAdvertised();
    // Made by an earlier process, or not made; where requests do no work of their own it is left to who fills.
    if (this.#services.handOver === undefined) await this.#maintenance.see();
  }

  /** Whether all that upstream shows is here, under the names that it shows. `too_large`: and more than may be. */
  async #isCurrent(refs: RefsSnapshot): Promise<'current' | 'behind' | 'absent' | 'too_large'> {
    const snapshot = await this.#openSnapshot();
    if (snapshot === undefined) return 'absent';
    try {
      if (this.#limit.isBrokenBy(snapshot.manifest)) return 'too_large';
      const known = this.knownRefs() ?? refs;
      const here = { ...known, refs: known.refs.filter((ref) => snapshot.store.find(ref.oid) >= 0) };
      const isCurrent = missingOf(snapshot, branchTips(known)).length === 0 && sameRefs(snapshot.held, here);
      return isCurrent ? 'current' : 'behind';
    } finally {
      snapshot.release();
    }
  }

  /** Only beside a mirror: where nothing is here, nothing is kept. */
  async #keepAdvertised(): Promise<void> {
    const latest = this.#ledger.latest('branches');
    const refs = this.knownRefs();
    if (latest === undefined || refs === undefined || latest.sentAtMs <= this.#memory.pushedAtMs) return;
    await this.#advertised.write({ refs, sentAtMs: latest.sentAtMs });
  }

  #updateSoon(asker: Asker): void {
    if (this.handsOver(asker)) return;
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

  #update(priority: JobPriority, asker: Asker, watching?: Watching): Submitted<UpdateOutcome> {
    const { jobs, logger } = this.#services;
    const repo = this.repository.name;
    const isBackground = priority === 'background';
    const job: Job<UpdateOutcome> = {
      kind: 'update',
      repo,
      key: `update:${repo}`,
      priority,
      abandonWhenUnwatched: isBackground,
      run: async (signal, report) => {
        const refs = this.knownRefs();
        if (refs === undefined) return 'absent';
        let received = 0;
        const update = { refs, asker, onBytes: (bytes: number) => report((received += bytes)) };
        const outcome = await runUpdate(this.#context, update, signal);
        if (outcome === 'replaced') logger.info('mirror_reset', { repo });
        return outcome;
      },
    };
    const submitted = submitJob(jobs, job, watching);
    void submitted.done.then((outcome) => {
      if (outcome.kind === 'failed' && !isBackground) logger.warn('ingest_failed', { repo, error: outcome.error });
      if (outcome.kind !== 'done') return;
      if (outcome.value === 'fetched' || outcome.value === 'current') this.#services.onMoved?.(this.repository);
      this.#background(this.#maintenance.see());
    });
    return submitted;
  }

  #storageFailed(error: unknown): void {
    this.#services.logger.warn('storage_failed', { repo: this.repository.name, error });
  }
}

/** True where upstream's bytes were at fault, and not the store or the line. */
function isDamagedPack(error: unknown): boolean {
  return (['malformed_pack', 'missing_object', 'limit_exceeded'] as const).some((code) => isHotpackError(error, code));
}
