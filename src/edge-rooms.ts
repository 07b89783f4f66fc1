/**
 * What is made otherwise where nothing that one request began may be awaited by another (Workers): mirrors of each request's
 * own, and in place of jobs that live on, tasks: sent to a queue where there is one, else done behind the answer within the 30 s
 * that the runtime grants, if they are small. Nothing here holds a promise, a timer or a signal beyond its event.
 */
import { EdgeAnswers } from './answers/edge/request-answers.ts';
import { evictAnswers } from './answers/edge/evict-answers.ts';
import { createDeadline, throwIfAborted } from './bytes/abort.ts';
import type { Config } from './config.ts';
import { dailyJobs } from './daily-jobs.ts';
import { createClaims } from './jobs/claims.ts';
import { createPeriodicJobs, type RunOutcome } from './jobs/periodic.ts';
import { parseMirrorTask, writeMirrorTask, type MirrorTask } from './mirror/edge/mirror-task.ts';
import { RequestMirrors } from './mirror/edge/request-mirrors.ts';
import { listMirrors } from './mirror/list-mirrors.ts';
import { evictDown } from './mirror/maintenance/space/eviction.ts';
import { FillRooms, type Heat } from './mirror/maintenance/space/fill-rooms.ts';
import { maxBytesOf } from './mirror/maintenance/space/max-bytes.ts';
import type { Mirror } from './mirror/mirror.ts';
import type { KeepAlive } from './mirror/mirrors.ts';
import { PackTables } from './mirror/copy/pack-tables.ts';
import type { MirrorServices } from './mirror/services.ts';
import type { EdgeEvents, Platform } from './platform.ts';
import { createInstanceName } from './popularity/popularity.ts';
import type { Popularity } from './popularity/contract.ts';
import { expectedOfPart } from './serve/expected/expected-shapes.ts';
import { makeExpected } from './serve/expected/make-expected.ts';
import type { Logger } from './telemetry/logger.ts';
import type { Metrics } from './telemetry/metrics.ts';
import { BoundedMap } from './upstream/bounded-map.ts';
import type { Upstream } from './upstream/contract.ts';
import type { Repository } from './upstream/repository.ts';
import type { PassOutcome, Warm, WarmedRepository } from './warm/contract.ts';
import { readHeat, writeHeat } from './warm/edge/counted-heat.ts';
import { createEdgeWarm } from './warm/edge/edge-warm.ts';
import { writeOutcome, writePass } from './warm/edge/report.ts';
import { runPass } from './warm/pass.ts';
import { performTask, type TaskLimits, type TaskOutcome } from './warm/perform-task.ts';
import type { WarmingDeps } from './warm/warm-repository.ts';
import { createWarm } from './warm/warm.ts';

type MakeAnswers = NonNullable<WarmingDeps['makeAnswers']>;

/** How `memoryBytes` is dealt out: tables of packs, one ingest; what one request's mirror may cache; the rest is for chunks. */
const TABLES_SHARE = 1 / 4;
const INGEST_SHARE = 1 / 4;
const CACHE_SHARE = 1 / 64;
/** Some 150 bytes each. */
const MAX_REFS = 100_000;
/** `waitUntil` grants 30 s. */
const BEHIND_ANSWER: TaskLimits = { timeoutMs: 25_000, maxBytes: 32 * 1024 * 1024 };
/** A consumer of a queue has 15 minutes. */
const IN_QUEUE_MS = 14 * 60_000;
/** Fetching and indexing a larger pack are two events of a queue: each event has so many requests to the store. */
const STAGED_BYTES = 48 * 1024 * 1024;
/** Of the thousand requests to bindings that an event makes at most. */
const BITMAP_READS = 600;
const MAX_WITHOUT_BITMAP = 1_024;
const EVICT_MS = 15 * 60_000;
const HISTOGRAM_TIMEOUT_MS = 15_000;
const DAY_MS = 86_400_000;

export interface EdgeParts {
  readonly platform: Platform;
  readonly config: Config;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly upstream: Upstream;
  readonly popularity: Popularity;
}

export interface EdgeRooms {
  readonly answers: EdgeAnswers;
  readonly mirrors: RequestMirrors;
  readonly warm: Warm;
  readonly events: EdgeEvents;
}

export function createEdgeRooms({ platform, config, logger, metrics, upstream, popularity }: EdgeParts): EdgeRooms {
  const { storage, now, queue } = platform;
  const services: Omit<MirrorServices, 'jobs'> = {
    storage,
    upstream,
    threads: undefined,
    now,
    logger,
    ingestBytes: Math.floor(config.memoryBytes * INGEST_SHARE),
    cacheBytes: Math.floor(config.memoryBytes * CACHE_SHARE),
    refCheckIntervalMs: config.refCheckIntervalMs,
    maxMirrorBytes: config.maxMirrorBytes,
    bitmapReads: { max: BITMAP_READS, tooMany: new BoundedMap(MAX_WITHOUT_BITMAP) },
    staging: { endsAfterBytes: queue === undefined ? Number.POSITIVE_INFINITY : STAGED_BYTES },
    tables: new PackTables({ maxBytes: Math.floor(config.memoryBytes * TABLES_SHARE), now }),
  };
  const answers = new EdgeAnswers({
    storage,
    maxBytes: config.packCacheBytes,
    now,
    onFailed: (error) => logger.warn('answer_failed', { error }),
  });
  const mirrors = new RequestMirrors(services, {
    maxRefs: MAX_REFS,
    handOver,
    onEmptied: ({ name, key }) =>
      answers.forget(key).catch((error: unknown) => logger.warn('storage_failed', { repo: name, error })),
  });
  /** Ahead of those who ask, where there is warming, and an event that has the time. */
  const makesAnswers = config.prewarmMostClonedRepos > 0 && config.packCacheBytes > 0 && queue !== undefined;
  const holder = createInstanceName();
  const stored = { storage, maxBytes: () => maxBytesOf(config.maxBytes, storage), known: () => new Map(), now };
  let askedPassAtMs = Number.NEGATIVE_INFINITY;

  /** Makes what clients of a repository will ask for, in the event that warmed it. */
  function answersAhead(mirrorOf: (repository: Repository) => Mirror, keepAlive: KeepAlive): MakeAnswers {
    return async (repository, asked, signal) => {
      const { name } = repository;
      const shapes = expectedOfPart([...popularity.shapesOf(name), ...asked]);
      const startedAtMs = now();
      try {
        const parts = { mirror: mirrorOf(repository), answers: answers.of(keepAlive), repository, shapes };
        const made = await makeExpected(parts, signal);
        if (made > 0) logger.info('prewarm.answers', { repo: name, made, ms: now() - startedAtMs });
      } catch (error) {
        throwIfAborted(signal);
        logger.warn('answer_failed', { repo: name, error });
      }
    };
  }

  /** The rooms of one event. */
  function warmingDeps(keepAlive: KeepAlive) {
    const own = new Map<string, ReturnType<RequestMirrors['own']>>();
    const mirrorOf = (repository: Repository): Mirror => {
      const mirror = own.get(repository.name) ?? mirrors.own(repository, keepAlive);
      own.set(repository.name, mirror);
      return mirror;
    };
    const rooms = new FillRooms(stored);
    return {
      storage,
      upstream,
      upstreams: config.upstreams,
      popularity,
      // A name for each event: what another one holds is never taken for ours.
      claims: createClaims({ storage, holder: `${holder}-${crypto.randomUUID().slice(0, 8)}`, now }),
      mirrorOf,
      ...(makesAnswers ? { makeAnswers: answersAhead(mirrorOf, keepAlive) } : {}),
      listMirrors: (signal: AbortSignal) => listMirrors(storage, config.upstreams, signal),
      roomFor: (heat: Heat, signal: AbortSignal) => rooms.of(heat, signal),
      heatOf: async (repository: Repository, signal: AbortSignal): Promise<Heat | undefined> =>
        (await stored.maxBytes()) === undefined
          ? undefined
          : readHeat(storage, { repository, askedAtMs: mirrorOf(repository).lastAskedAtMs }, signal),
      fetchTimeoutMs: config.fetchTimeoutMs,
      cloneTimeoutMs: config.cloneTimeoutMs,
      histogramTimeoutMs: HISTOGRAM_TIMEOUT_MS,
      onEnded: ({ repository: { name, key }, askedAtMs }: MirrorTask, result: WarmedRepository) =>
        writeOutcome(storage, { ...result, endedAtMs: now() }, { key, askedAtMs }).catch((error: unknown) =>
          logger.warn('storage_failed', { repo: name, error }),
        ),
      now,
      logger,
      metrics,
    };
  }

  async function perform(task: MirrorTask, limits: TaskLimits): Promise<TaskOutcome> {
    const behind: Promise<unknown>[] = [];
    const outcome = await performTask(
      warmingDeps((work) => void behind.push(work)),
      task,
      limits,
    );
    // What the work began ends with it.
    for (const work of behind) await work;
    return outcome;
  }

  async function handOver(task: MirrorTask): Promise<void> {
    if (queue === undefined) {
      const { backoff } = mirrors.memoryOf(task.repository);
      if ((await perform(task, BEHIND_ANSWER)) === 'done') backoff.succeeded();
      else backoff.failed();
      return;
    }
    try {
      await queue.send(writeMirrorTask(task));
    } catch (error) {
      logger.warn('job_failed', { kind: 'queue', repo: task.repository.name, error });
    }
  }

  /** To those who carry out what a pass hands over, wherever that is. */
  async function tellHeat(clones: ReadonlyMap<string, number>, signal: AbortSignal): Promise<void> {
    try {
      if ((await stored.maxBytes()) !== undefined) await writeHeat(storage, clones, signal);
    } catch (error) {
      logger.warn('storage_failed', { job: 'prewarm', error });
    }
  }

  /** Hands over whoever is to be warmed. What became of the pass is told by the store, and what of them by those who do it. */
  async function pass(): Promise<RunOutcome> {
    const deadline = createDeadline({ timeoutMs: IN_QUEUE_MS, operation: 'the warm pass' });
    const startedAtMs = now();
    const handedOver: string[] = [];
    const tell = (ended: { readonly endedAtMs?: number; readonly outcome?: PassOutcome }): Promise<void> =>
      writePass(storage, { startedAtMs, ...ended, handedOver }).catch((error: unknown) =>
        logger.warn('storage_failed', { job: 'prewarm', error }),
      );
    const ended = async (outcome: PassOutcome, error?: unknown): Promise<RunOutcome> => {
      metrics.prewarmPasses.add({ outcome });
      const fields = { outcome, ms: now() - startedAtMs };
      if (outcome === 'failed') logger.warn('prewarm.end', { ...fields, error });
      else logger.info('prewarm.end', fields);
      await tell({ endedAtMs: now(), outcome });
      return outcome === 'failed' ? 'failed' : 'done';
    };
    try {
      await tell({});
      const windowDays = Math.max(1, Math.ceil(config.prewarmWindowMs / DAY_MS));
      const outcome = await runPass(
        {
          ...warmingDeps(() => undefined),
          onCounted: tellHeat,
          warm: async ({ repository }) => {
            handedOver.push(repository.key);
            await handOver({ repository, wants: [], askedAtMs: startedAtMs, askedBy: 'pass' });
            return { kind: 'ended', result: { repo: repository.name, path: 'fetch', status: 'skipped', ms: 0 } };
          },
        },
        {
          mostCloned: config.prewarmMostClonedRepos,
          windowDays,
          concurrency: config.prewarmConcurrency,
          histogramTimeoutMs: HISTOGRAM_TIMEOUT_MS,
        },
        deadline.signal,
      );
      return await ended(outcome);
    } catch (error) {
      return await ended('failed', error);
    } finally {
      deadline.dispose();
    }
  }

  /** Where no process lives on that sees what is stored, by what the store itself says. */
  async function evict(signal: AbortSignal): Promise<RunOutcome> {
    await evictDown({ ...stored, onEvicted: () => undefined, logger, metrics }, signal);
    const gone = await evictAnswers({ storage, maxBytes: config.packCacheBytes, now }, signal);
    if (gone > 0) metrics.evictions.add({ what: 'answers' }, gone);
    return 'done';
  }

  async function scheduled(): Promise<void> {
    const periodic = createPeriodicJobs({ storage, now, logger });
    await periodic.runIfDue({ name: 'evict', intervalMs: EVICT_MS, runsAtStart: false, run: evict });
    // oxlint-disable-next-line no-await-in-loop -- one after the other, in the memory of one event
    for (const job of dailyJobs({ storage, popularity, now, logger })) await periodic.runIfDue(job);
    if (config.prewarmMostClonedRepos === 0) return;
    await periodic.runIfDue({ name: 'prewarm', intervalMs: config.prewarmIntervalMs, runsAtStart: true, run: pass });
  }

  const warm = createEdgeWarm({
    storage,
    upstreams: config.upstreams,
    claims: createClaims({ storage, holder, now }),
    now,
    handOver: (repository) => handOver({ repository, wants: [], askedAtMs: now(), askedBy: 'somebody' }),
    // One `Warm` for each event, which is over before its answer is.
    ...(queue === undefined
      ? {
          warmHere: (...args) =>
            createWarm(
              { ...warmingDeps(() => undefined), periodic: createPeriodicJobs({ storage, now, logger }) },
              { mostCloned: 0, windowMs: DAY_MS, concurrency: 1, intervalMs: 0 },
            ).warmRepository(...args),
        }
      : {}),
  });

  return {
    answers,
    mirrors,
    warm,
    events: {
      requested(keepAlive) {
        // The first of an isolate, and then as often as passes are made: who is first of all isolates makes it.
        if (config.prewarmMostClonedRepos === 0) return;
        if (askedPassAtMs > Number.NEGATIVE_INFINITY && config.prewarmIntervalMs === 0) return;
        if (now() - askedPassAtMs < config.prewarmIntervalMs) return;
        askedPassAtMs = now();
        keepAlive(scheduled());
      },
      scheduled,
      async performed(message) {
        const task = parseMirrorTask(message, config.upstreams);
        if (task === undefined) {
          logger.warn('job_failed', { kind: 'queue', error: 'a message that is no task' });
          return 'done';
        }
        const outcome = await perform(task, { timeoutMs: IN_QUEUE_MS });
        if (outcome !== 'more') return outcome;
        await queue?.send(writeMirrorTask(task));
        return 'done';
      },
    },
  };
}
