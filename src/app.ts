/** The only composition root: every room is made here, once, and handed what it works with. */
import { createAccess } from './access/gate.ts';
import { Answers } from './answers/answers.ts';
import { createDeadline, raceSignal } from './bytes/abort.ts';
import type { Config } from './config.ts';
import { dailyJobs } from './daily-jobs.ts';
import { createEdgeRooms } from './edge-rooms.ts';
import { createHttp, type Readiness } from './http/create-http.ts';
import { createClaims } from './jobs/claims.ts';
import { createJobs } from './jobs/jobs.ts';
import { createPeriodicJobs } from './jobs/periodic.ts';
import { FILL_CLAIM_TTL_MS } from './mirror/fetching/fill-claim.ts';
import { listMirrors } from './mirror/list-mirrors.ts';
import { Eviction } from './mirror/maintenance/space/eviction.ts';
import { FillRooms } from './mirror/maintenance/space/fill-rooms.ts';
import { maxBytesOf } from './mirror/maintenance/space/max-bytes.ts';
import { Mirrors, type MirrorSource } from './mirror/mirrors.ts';
import { createRepositoryStates } from './mirror/repository-states.ts';
import { StoredMirrors } from './mirror/stored-mirrors.ts';
import type { App, Platform } from './platform.ts';
import { createInstanceName, createPopularity } from './popularity/popularity.ts';
import { createProxy } from './proxy/forward.ts';
import { ExpectedAnswers } from './serve/expected/expected-answers.ts';
import { createServe } from './serve/serve.ts';
import { createLogger } from './telemetry/logger.ts';
import { createMetrics } from './telemetry/metrics.ts';
import { createUpstream } from './upstream/client.ts';
import type { Repository } from './upstream/repository.ts';
import { VERSION } from './version.ts';
import { createWarm } from './warm/warm.ts';

/**
 * Pack work and fills that run at the same time: both are bound by processor and memory, not by waiting. Warming and
 * maintenance have places of their own beside these.
 */
const JOBS = 4;
const CLONES = 2;
const MAINTENANCE = 1;
const OPEN_MIRRORS = 8;
/**
 * How `memoryBytes` is dealt out: half to ingests (each job has at most one), a quarter to the caches of mirrors, an eighth
 * to answers (in the making, lingering, or stored and asked for again); the eighth that is left is for the chunks of streams, half
 * of it for the blocks of a bucket where there is one. Apart from it, by the number of objects: idx tables of open mirrors, and at
 * most 64 bytes an object while one is ingested or walked.
 */
const INGEST_SHARE = 1 / 2;
const CACHE_SHARE = 1 / 4 / OPEN_MIRRORS;
const ANSWERS_SHARE = 1 / 8;
/** How long a finished answer that was not stored waits for others who ask the same. */
const LINGER_MS = 30_000;
const PROBE_TIMEOUT_MS = 2_000;
/** For the counts that are not written yet when all else has ended. */
const LAST_FLUSH_MS = 2_000;

export function createApp(platform: Platform, config: Config): App {
  const { storage, threads, now } = platform;
  const logger = createLogger({ sink: platform.log, level: config.logLevel, now, secrets: config.secrets });
  const metricsNameRepositories = config.metricsPerRepo === 1;
  const metrics = createMetrics({ perRepo: metricsNameRepositories });
  // Workers are not told that they end, and a signal made there belongs to one request.
  const ending = platform.kind === 'cloudflare' ? undefined : new AbortController();
  let isDraining = false;

  const warming = config.prewarmMostClonedRepos > 0 ? config.prewarmConcurrency : 0;
  const jobs = createJobs({
    concurrency: JOBS + warming + MAINTENANCE,
    cloneConcurrency: CLONES + warming,
    backgroundConcurrency: warming + MAINTENANCE,
    now,
    events: {
      ended: ({ kind, repo }, outcome, ms) => {
        if (outcome.kind === 'failed') logger.debug('job_failed', { kind, repo, ms, error: outcome.error });
      },
    },
  });
  const upstream = createUpstream(
    { fetch: platform.fetch, upstreams: config.upstreams, now, metrics, logger },
    {
      lsRefsTimeoutMs: config.lsRefsTimeoutMs,
      fetchTimeoutMs: config.fetchTimeoutMs,
      cloneTimeoutMs: config.cloneTimeoutMs,
    },
  );
  const popularity = createPopularity(
    { kv: platform.kv, instance: createInstanceName(), now, logger, metrics },
    { flushIntervalMs: config.kvFlushIntervalMs, retentionMs: config.cloneRetentionMs },
  );
  const edge = platform.sharesWork
    ? undefined
    : createEdgeRooms({ platform, config, logger, metrics, upstream, popularity });
  const storedMirrors = new StoredMirrors(storage, now, { sharesCounts: platform.sharesWork });
  const lasting = new Mirrors(
    {
      storage,
      upstream,
      jobs,
      threads,
      now,
      logger,
      ingestBytes: Math.floor((config.memoryBytes * INGEST_SHARE) / (JOBS + warming)),
      cacheBytes: Math.floor(config.memoryBytes * CACHE_SHARE),
      refCheckIntervalMs: config.refCheckIntervalMs,
      maxMirrorBytes: config.maxMirrorBytes,
      fillClaims: platform.sharesStorage
        ? createClaims({ storage, holder: createInstanceName(), now, ttlMs: FILL_CLAIM_TTL_MS })
        : undefined,
      ...(platform.endsAnyTime === true ? { staging: { endsAfterBytes: Number.POSITIVE_INFINITY } } : {}),
      onStored: () => {
        storedMirrors.changed();
        fillRooms.changed();
        eviction.changed();
      },
      onEmptied: forgetAnswers,
      onMoved: (repository) => {
        if (warm.isWarmed(repository.name) === true) expected?.moved(repository);
      },
    },
    { maxOpen: OPEN_MIRRORS },
  );
  const stored = {
    storage,
    maxBytes: () => maxBytesOf(config.maxBytes, storage),
    known: () => lasting.byRoot(),
    now,
  };
  const fillRooms = new FillRooms(stored);
  const eviction = new Eviction({
    ...stored,
    onEvicted: () => {
      storedMirrors.changed();
      fillRooms.changed();
    },
    logger,
    metrics,
  });
  const mirrors: MirrorSource = edge?.mirrors ?? lasting;
  const sharedAnswers = new Answers({
    storage,
    maxBytes: config.packCacheBytes,
    memoryBytes: Math.floor(config.memoryBytes * ANSWERS_SHARE),
    lingerMs: LINGER_MS,
    now,
    onEvicted: (count) => metrics.evictions.add({ what: 'answers' }, count),
    onFailed: (error) => logger.warn('answer_failed', { error }),
  });
  const answers = edge?.answers ?? sharedAnswers;
  const expected =
    platform.sharesWork && config.packCacheBytes > 0
      ? new ExpectedAnswers({
          mirrorOf: (repository) => mirrors.of(repository),
          answers: sharedAnswers,
          popularity,
          jobs,
          now,
          logger,
        })
      : undefined;
  /** They were given to those who could read what was here before. */
  function forgetAnswers({ name, key }: Repository): void {
    answers.forget(key).catch((error: unknown) => logger.warn('storage_failed', { repo: name, error }));
  }
  const access = createAccess(
    {
      upstream,
      now,
      secret: crypto.getRandomValues(new Uint8Array(32)),
      metrics,
      logger,
      onVisibility: (repository, visibility) => {
        forgetAnswers(repository);
        mirrors
          .of(repository)
          .noteVisibility(visibility)
          .catch((error: unknown) => logger.warn('storage_failed', { repo: repository.name, error }));
      },
    },
    {
      ttlMs: config.accessTtlMs,
      denyTtlMs: config.accessDenyTtlMs,
      staleIfErrorMs: config.staleIfErrorMs,
      shareChecks: platform.sharesWork,
    },
  );
  const periodic = createPeriodicJobs({ storage, now, logger });
  const warm =
    edge?.warm ??
    createWarm(
      {
        storage,
        upstream,
        upstreams: config.upstreams,
        popularity,
        periodic,
        claims: createClaims({ storage, holder: createInstanceName(), now }),
        mirrorOf: (repository) => mirrors.of(repository),
        isOwn: platform.sharesStorage ? (repository) => lasting.known(repository.name) !== undefined : undefined,
        listMirrors: (signal) => listMirrors(storage, config.upstreams, signal),
        roomFor: (heat, signal) => fillRooms.of(heat, signal),
        ...(expected === undefined
          ? {}
          : { makeAnswers: (repository, asked, signal) => expected.make(repository, asked, signal) }),
        fetchTimeoutMs: config.fetchTimeoutMs,
        cloneTimeoutMs: config.cloneTimeoutMs,
        now,
        logger,
        metrics,
      },
      {
        mostCloned: config.prewarmMostClonedRepos,
        windowMs: config.prewarmWindowMs,
        concurrency: config.prewarmConcurrency,
        intervalMs: config.prewarmIntervalMs,
      },
    );
  const serve = createServe({
    popularity,
    mirrors,
    answers,
    upstream,
    now,
    logger,
    staleIfErrorMs: config.staleIfErrorMs,
    agent: `hotpack/${VERSION}`,
    sizeBody: platform.sizeBody,
  });
  const proxy = createProxy({
    upstream,
    upstreams: config.upstreams,
    onPushed: (repository) => mirrors.of(repository).pushed(),
  });

  async function readiness(): Promise<Readiness> {
    if (isDraining) return { ready: false, reason: 'draining' };
    const deadline = createDeadline({ timeoutMs: PROBE_TIMEOUT_MS, operation: 'storage probe' });
    try {
      await storage.probe(deadline.signal);
      return { ready: true };
    } catch {
      return { ready: false, reason: 'storage' };
    } finally {
      deadline.dispose();
    }
  }

  metrics.onCollect(async () => {
    const stored = await storedMirrors.count();
    if (stored !== undefined) {
      metrics.mirrors.set({}, stored.mirrors);
      metrics.storedBytes.set({ what: 'mirrors' }, stored.bytes);
    }
    const { waiting, running } = jobs.snapshot();
    metrics.jobs.set({ state: 'queued' }, waiting);
    metrics.jobs.set({ state: 'running' }, running);
    metrics.storedBytes.set({ what: 'answers' }, sharedAnswers.bytes);
  });

  const { h3, git } = createHttp({
    popularity,
    warm,
    states: createRepositoryStates(storage, mirrors, config.upstreams),
    adminToken: config.adminToken === '' ? undefined : config.adminToken,
    // On Workers the address is what a header says.
    peerOf: (event) => (platform.kind === 'cloudflare' ? undefined : event.req.ip),
    keepAlive: platform.sharesWork ? undefined : (event, work) => event.waitUntil(work),
    upstreams: config.upstreams,
    access,
    serve,
    proxy,
    now,
    maxRequestBytes: config.maxRequestBytes,
    metrics,
    metricsNameRepositories,
    logger,
    readiness,
    wrapsSized: platform.sizeBody === undefined,
    ...(ending === undefined ? {} : { signal: ending.signal }),
  });

  return {
    h3,
    git,
    ...(edge === undefined ? {} : { edge: edge.events }),
    async start() {
      popularity.start();
      for (const job of dailyJobs({ storage, popularity, now, logger })) periodic.add(job);
      eviction.changed();
      warm.start();
      sharedAnswers.load().catch((error: unknown) => logger.warn('answer_failed', { error }));
      logger.info('started', { version: VERSION, runtime: platform.kind });
    },
    runDue: () => periodic.runDue(),
    async stop(signal) {
      isDraining = true;
      logger.info('stopping');
      // Nobody waits for what it does: it ends at once.
      const cooled = Promise.all([warm.stop(), expected?.stop(), periodic.stop(), eviction.stop()]);
      const drained = jobs.drain({ timeoutMs: config.shutdownTimeoutMs, signal });
      const onAbort = (): void => ending?.abort(signal.reason);
      if (signal.aborted) onAbort();
      else signal.addEventListener('abort', onAbort, { once: true });
      await drained;
      await raceSignal(cooled, signal).catch(() => undefined);
      logger.info('stopped');
    },
    async close() {
      const deadline = createDeadline({ timeoutMs: LAST_FLUSH_MS, operation: 'the last flush' });
      const { signal } = deadline;
      // Answers not in `stop`: clients may still be reading what came in. A store that hangs must not cost the counts.
      await Promise.all([raceSignal(sharedAnswers.close(), signal).catch(() => undefined), popularity.stop(signal)]);
      deadline.dispose();
    },
  };
}
