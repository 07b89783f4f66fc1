/**
 * One pass. Step 1: the mirrors that are here and were asked for within the window, most asked first, each asked for its refs once
 * and fetched only if changed. Step 2, when step 1 has ended: the N most cloned repositories of the window, but for those that
 * step 1 has tried. What one repository meets stops no other. What another instance is at comes last, and is done here if
 * that one has died.
 *
 * Memory: an entry for each repository that was counted within the window, and for each mirror.
 */
import { createDeadline, raceSignal, throwIfAborted } from '../bytes/abort.ts';
import type { ListedMirror } from '../mirror/list-mirrors.ts';
import type { Popularity, Traffic } from '../popularity/contract.ts';
import type { Storage } from '../storage/contract.ts';
import type { Logger } from '../telemetry/logger.ts';
import { repositoryOfName, type Repository, type UpstreamConfig } from '../upstream/repository.ts';
import type { PassOutcome, WarmedRepository } from './contract.ts';
import { changeGone, readGone, type GoneRepository } from './gone.ts';
import type { Attempt } from './warm-repository.ts';

const DAY_MS = 86_400_000;
/** The whole ranking: what has gone makes room for what comes after it. */
const ALL = Number.MAX_SAFE_INTEGER;

export interface PassDeps {
  readonly storage: Pick<Storage, 'readDocument' | 'replaceDocument'>;
  readonly listMirrors: (signal: AbortSignal) => AsyncIterable<Pick<ListedMirror, 'repository'>>;
  readonly upstreams: ReadonlyMap<string, UpstreamConfig>;
  readonly popularity: Pick<Popularity, 'top' | 'traffic'>;
  /** Rejects only when the signal fires. Where it waits it is never `held`. */
  readonly warm: (candidate: Candidate, how: WarmHow) => Promise<Attempt>;
  /** Told of all clones within the window, by `Repository.key`, the most cloned first, before anything is warmed. Never rejects. */
  readonly onCounted?: (clones: ReadonlyMap<string, number>, signal: AbortSignal) => Promise<void>;
  readonly now: () => number;
  readonly logger: Logger;
}

export interface PassOptions {
  /** N. */
  readonly mostCloned: number;
  /** Today included. */
  readonly windowDays: number;
  /** Repositories at the same time. */
  readonly concurrency: number;
  /** For each reading of the histogram. */
  readonly histogramTimeoutMs: number;
}

export interface WarmHow {
  /** See `Warming.waits`. */
  readonly waits: boolean;
  readonly signal: AbortSignal;
}

export interface Candidate {
  readonly repository: Repository;
  /** True where its mirror was in the store when the pass began. */
  readonly wasHere: boolean;
  /** What its clients asked for within the window. */
  readonly asked: Traffic['shapes'];
  /** Clones of it within the window. */
  readonly clones: number;
  /** The same of any repository, by its key. */
  readonly clonesOf: (key: string) => number;
}

/** Rejects where the histogram or the list of mirrors cannot be read, and with `aborted`. */
export async function runPass(
  deps: PassDeps,
  options: PassOptions,
  signal: AbortSignal,
): Promise<Extract<PassOutcome, 'complete' | 'empty_histogram'>> {
  const { logger } = deps;
  const histogram = await readHistogram(deps, options, signal);
  const gone = await stillGone(deps, options, signal);
  const here = await mirrorsHere(deps, signal);
  const clones = histogram.clonesByKey;
  await deps.onCounted?.(clones, signal);
  const candidate = (repository: Repository, wasHere: boolean): Candidate => ({
    repository,
    wasHere,
    asked: histogram.shapesOf(repository.name),
    clones: clones.get(repository.key) ?? 0,
    clonesOf: (key) => clones.get(key) ?? 0,
  });
  const asked = [...here.values()]
    .map((repository) => ({ repository, times: histogram.timesAsked(repository.name) }))
    .filter(({ repository, times }) => times > 0 && !gone.has(repository.name))
    .toSorted((left, right) => right.times - left.times || (left.repository.name < right.repository.name ? -1 : 1))
    .map(({ repository }) => candidate(repository, true));
  const tried = new Set(asked.map(({ repository }) => repository.name));
  const mostCloned = histogram.ranking
    .filter((name) => !gone.has(name))
    .flatMap((name): readonly Repository[] => repositoryOf(name, deps.upstreams))
    .slice(0, options.mostCloned)
    .filter(({ name }) => !tried.has(name))
    .map((repository) => candidate(repository, here.has(repository.name)));

  const isEmpty = histogram.ranking.length === 0;
  if (asked.length + mostCloned.length > 0) {
    logger.info('prewarm.start', { here: asked.length, mostCloned: mostCloned.length, days: options.windowDays });
  }
  const results: WarmedRepository[] = [];
  const held: Candidate[] = [];
  const warm = async (candidate: Candidate): Promise<void> => {
    const attempt = await deps.warm(candidate, { waits: false, signal });
    if (attempt.kind === 'held') held.push(candidate);
    else results.push(attempt.result);
  };
  const wait = async (candidate: Candidate): Promise<void> => {
    const attempt = await deps.warm(candidate, { waits: true, signal });
    if (attempt.kind === 'ended') results.push(attempt.result);
  };
  await inParallel(asked, options.concurrency, warm, signal);
  await inParallel(mostCloned, options.concurrency, warm, signal);
  await inParallel(held, options.concurrency, wait, signal);
  await noteGone(deps, options, { results }, signal);
  return isEmpty ? 'empty_histogram' : 'complete';
}

interface HistogramRead {
  /** Names, most cloned first. */
  readonly ranking: readonly string[];
  readonly timesAsked: (repo: string) => number;
  /** By `Repository.key`. */
  readonly clonesByKey: ReadonlyMap<string, number>;
  readonly shapesOf: (repo: string) => Traffic['shapes'];
}

async function readHistogram(deps: PassDeps, options: PassOptions, signal: AbortSignal): Promise<HistogramRead> {
  const { popularity } = deps;
  const days = options.windowDays;
  const top = await inTime(options, signal, (own) => popularity.top({ days, limit: ALL }, own));
  const traffic = await inTime(options, signal, (own) => popularity.traffic(days, own));
  const clones = new Map(top.repos.map((one) => [one.repo, one.clones]));
  const clonesByKey = new Map(
    top.repos.flatMap((one) => repositoryOf(one.repo, deps.upstreams).map(({ key }) => [key, one.clones] as const)),
  );
  return {
    ranking: top.repos.map((one) => one.repo),
    clonesByKey,
    // Clones are requests too; counts that were imported have no requests.
    timesAsked: (repo) => Math.max(requestsOf(traffic.get(repo)), clones.get(repo) ?? 0),
    shapesOf: (repo) => traffic.get(repo)?.shapes ?? [],
  };
}

/** A key-value store that hangs must not hold the pass. */
async function inTime<T>(
  options: Pick<PassOptions, 'histogramTimeoutMs'>,
  signal: AbortSignal,
  read: (own: AbortSignal) => Promise<T>,
): Promise<T> {
  const timeoutMs = options.histogramTimeoutMs;
  const deadline = createDeadline({ parents: [signal], timeoutMs, operation: 'reading the histogram' });
  try {
    return await raceSignal(read(deadline.signal), deadline.signal);
  } finally {
    deadline.dispose();
  }
}

async function mirrorsHere(deps: PassDeps, signal: AbortSignal): Promise<Map<string, Repository>> {
  const here = new Map<string, Repository>();
  for await (const { repository } of deps.listMirrors(signal)) here.set(repository.name, repository);
  return here;
}

/** Those that nobody was answered about since they were found gone. What cannot be read is asked for anew. */
async function stillGone(
  deps: PassDeps,
  options: PassOptions,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, GoneRepository>> {
  const { storage, popularity, now, logger } = deps;
  const still = new Map<string, GoneRepository>();
  try {
    const trafficSince = new Map<number, ReadonlyMap<string, Traffic>>();
    for (const one of await readGone(storage, signal)) {
      const days = dayNumber(now()) - dayNumber(one.goneAtMs) + 1;
      // Whatever the window counts of an older one was counted since.
      if (days < 1 || days > options.windowDays) continue;
      // oxlint-disable-next-line no-await-in-loop -- once for each day, mostly none
      const traffic = trafficSince.get(days) ?? (await inTime(options, signal, (own) => popularity.traffic(days, own)));
      trafficSince.set(days, traffic);
      if (requestsOf(traffic.get(one.repo)) <= one.asked) still.set(one.repo, one);
    }
  } catch (error) {
    throwIfAborted(signal);
    logger.warn('storage_failed', { job: 'prewarm', error });
  }
  return still;
}

export type GoneDeps = Pick<PassDeps, 'storage' | 'popularity' | 'now' | 'logger'>;

/** Those that were found gone leave the candidates, those that answered come back. Rejects with `aborted` alone. */
export async function noteGone(
  deps: GoneDeps,
  options: Pick<PassOptions, 'histogramTimeoutMs'>,
  pass: { readonly results: readonly WarmedRepository[] },
  signal: AbortSignal,
): Promise<void> {
  const found = pass.results.filter((one) => one.status === 'gone');
  const back = pass.results.filter((one) => one.status === 'ok').map((one) => one.repo);
  try {
    const known = (await readGone(deps.storage, signal)).map((one) => one.repo);
    const remove = known.filter((repo) => back.includes(repo));
    const today =
      found.length === 0 ? undefined : await inTime(options, signal, (own) => deps.popularity.traffic(1, own));
    const goneAtMs = deps.now();
    const add = found.map(({ repo }) => ({ repo, goneAtMs, asked: requestsOf(today?.get(repo)) }));
    await changeGone(deps.storage, { add, remove }, signal);
  } catch (error) {
    throwIfAborted(signal);
    deps.logger.warn('storage_failed', { job: 'prewarm', error });
  }
}

/** None where it is no name, or of an upstream that is not configured. */
function repositoryOf(name: string, upstreams: ReadonlyMap<string, UpstreamConfig>): readonly Repository[] {
  try {
    return [repositoryOfName(name, upstreams)];
  } catch {
    return [];
  }
}

function requestsOf(traffic: Traffic | undefined): number {
  return traffic === undefined ? 0 : Object.values(traffic.requests).reduce((sum, count) => sum + count, 0);
}

function dayNumber(ms: number): number {
  return Math.floor(ms / DAY_MS);
}

async function inParallel<T>(
  items: readonly T[],
  concurrency: number,
  work: (item: T) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const queue = items.values();
  const workers = Array.from({ length: Math.min(concurrency, items.length) }, async () => {
    for (const item of queue) {
      throwIfAborted(signal);
      // oxlint-disable-next-line no-await-in-loop -- each worker has one at a time
      await work(item);
    }
  });
  const ended = await Promise.allSettled(workers);
  for (const one of ended) if (one.status === 'rejected') throw one.reason;
}
