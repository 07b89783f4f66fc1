/**
 * Counts in memory, writes every `flushIntervalMs`. Where the key-value store fails, counts wait in memory
 * up to `MAX_CELLS`; beyond that new ones are dropped and metered, and nothing else notices.
 *
 * Memory: about 250 bytes for each repository, day and field that was counted and is not over: at most 50 MB.
 */
import { sleep } from '../bytes/abort.ts';
import type { Kv } from '../storage/kv/contract.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Popularity, Top, TopQuestion, Traffic } from './contract.ts';
import { addUp, mergeInto, type Counts } from './histogram/counts.ts';
import { addDays, dayOf, type Day } from './histogram/day.ts';
import { flushCounts } from './histogram/flush.ts';
import type { CountKind } from './histogram/key.ts';
import { OwnCounts } from './histogram/own-counts.ts';
import { readDays } from './histogram/read.ts';
import { tidyCounts } from './histogram/tidy.ts';
import { mayRewrite } from './histogram/windows.ts';
import { rank, CLONES } from './rank.ts';
import { answerFields, shapeField, trafficOf } from './traffic.ts';

export interface PopularityDeps {
  readonly kv: Kv;
  /** This process alone, and never another one after it: `createInstanceName`. */
  readonly instance: string;
  readonly now: () => number;
  readonly logger: Logger;
  readonly metrics: Pick<Metrics, 'clones' | 'countsDropped'>;
  /** Default: a timer. */
  readonly sleep?: (ms: number) => Promise<void>;
}

export interface PopularityOptions {
  readonly flushIntervalMs: number;
  /** How long counts are kept, in whole days before today. */
  readonly retentionMs: number;
  /** Cells in memory. Default: 200,000. */
  readonly maxCells?: number;
}

const MAX_CELLS = 200_000;
const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;
/** A store that fails is asked less and less often, down to this. */
const SLOWEST_FLUSH_MS = MINUTE_MS;
/** A flush that rides on a request has not ended after this: the runtime has ended it. */
const LOST_FLUSH_MS = 2 * MINUTE_MS;

/** Workers end what a request left to do after 30 s. */
const LONGEST_RIDE_MS = 20_000;

export function createInstanceName(): string {
  return `i${crypto.randomUUID().replaceAll('-', '').slice(0, 16)}`;
}

export function createPopularity(deps: PopularityDeps, options: PopularityOptions): Popularity {
  const { kv, instance, now, logger, metrics } = deps;
  const pause = deps.sleep ?? sleep;
  const keptDays = Math.ceil(options.retentionMs / DAY_MS);
  const own = new OwnCounts({ maxCells: options.maxCells ?? MAX_CELLS });
  const ending = new AbortController();
  let isStarted = false;
  let failures = 0;
  let flushTimer: ReturnType<typeof setTimeout> | undefined;
  let flushing: Promise<void> | undefined;
  let lastFlushMs = Number.NEGATIVE_INFINITY;
  let rideBegunMs = Number.NEGATIVE_INFINITY;

  function add(kind: CountKind, repo: string, field: string, count: number): void {
    if (count > 0 && !own.add({ kind, day: dayOf(now()), repo, field }, count)) metrics.countsDropped.add({});
  }

  function flush(signal?: AbortSignal): Promise<void> {
    if (flushing !== undefined) return flushing;
    const begun = flushOnce(signal).finally(() => {
      if (flushing === begun) flushing = undefined;
    });
    flushing = begun;
    return begun;
  }

  async function flushOnce(signal?: AbortSignal): Promise<void> {
    lastFlushMs = now();
    const oldest = addDays(dayOf(now()), -keptDays);
    const dropped = own.dropUnwritten((day) => day < oldest);
    if (dropped > 0) metrics.countsDropped.add({}, dropped);
    try {
      await flushCounts({ kv, own, instance, now }, signal);
      own.forget((day) => !mayRewrite(day, now()));
      if (failures > 0) logger.info('counts_recovered', { failures });
      failures = 0;
    } catch (error) {
      if (failures++ === 0) logger.warn('counts_failed', { error });
    }
  }

  /**
   * At once with the first request, then with a request of each interval at the end of that interval, so that what the last request
   * brought is written too. What one request has begun no other may wait for; a flush that its request took along to its end has
   * to be given up.
   */
  function flushWithRequest(waitUntil: (promise: Promise<unknown>) => void): void {
    const begunMs = now();
    if (begunMs - rideBegunMs < LOST_FLUSH_MS) return;
    const waitMs = lastFlushMs + options.flushIntervalMs - begunMs;
    if (waitMs > LONGEST_RIDE_MS) return;
    rideBegunMs = begunMs;
    if (flushing !== undefined) {
      for (const part of own.dirtyParts()) part.isUncertain ||= part.isUsed;
      flushing = undefined;
    }
    const ride = (waitMs > 0 ? pause(waitMs) : Promise.resolve())
      .then(() => flush())
      .finally(() => {
        if (rideBegunMs === begunMs) rideBegunMs = Number.NEGATIVE_INFINITY;
      });
    waitUntil(ride);
  }

  function flushLater(): void {
    const wait = failures === 0 ? options.flushIntervalMs : options.flushIntervalMs * 2 ** Math.min(failures, 10);
    flushTimer = setTimeout(
      () => void flush(ending.signal).then(() => (ending.signal.aborted ? undefined : flushLater())),
      Math.max(options.flushIntervalMs, Math.min(wait, SLOWEST_FLUSH_MS)),
    );
  }

  async function sumOver(kind: CountKind, days: number, signal?: AbortSignal): Promise<Sums> {
    const to = dayOf(now());
    const from = addDays(to, 1 - days);
    const sums: Counts = new Map();
    const onMalformed = (key: string): void => logger.warn('counts_odd', { what: 'malformed_value', key });
    for await (const { day, counts } of readDays(kv, { kind, from, to, onMalformed }, signal)) {
      mergeInto(counts, instance, own.counts(kind, day));
      addUp(sums, counts);
    }
    return { from, to, sums };
  }

  return {
    countFetch({ repo, isClone, shape, waitUntil }) {
      if (isClone) {
        metrics.clones.add({});
        add('clones', repo, CLONES, 1);
      }
      add('traffic', repo, shapeField(own.fieldsOf('traffic', dayOf(now()), repo), shape), 1);
      if (!isStarted && waitUntil !== undefined) flushWithRequest(waitUntil);
    },
    countAnswer(repo, source, bytes) {
      const fields = answerFields(source);
      add('traffic', repo, fields.requests, 1);
      add('traffic', repo, fields.bytes, bytes);
    },
    start() {
      if (isStarted) return;
      isStarted = true;
      flushLater();
    },
    async top({ days, limit }: TopQuestion, signal): Promise<Top> {
      const { from, to, sums } = await sumOver('clones', days, signal);
      return { days, from, to, repos: rank(sums, limit) };
    },
    async traffic(days, signal): Promise<ReadonlyMap<string, Traffic>> {
      const { sums } = await sumOver('traffic', days, signal);
      return new Map([...sums].map(([repo, fields]) => [repo, trafficOf(fields)]));
    },
    shapesOf(repo) {
      const sums = new Map<string, number>();
      for (const day of [addDays(dayOf(now()), -1), dayOf(now())]) {
        for (const [field, n] of own.countsOf('traffic', day, repo)) sums.set(field, (sums.get(field) ?? 0) + n);
      }
      return trafficOf(sums).shapes;
    },
    flush,
    tidy: (signal) =>
      tidyCounts(
        kv,
        { now, keptDays, onEvent: ({ kind, ...fields }) => logger.warn('counts_odd', { what: kind, ...fields }) },
        signal,
      ),
    async stop(signal) {
      clearTimeout(flushTimer);
      ending.abort();
      await flushing;
      await flush(signal);
    },
  };
}

interface Sums {
  readonly from: Day;
  readonly to: Day;
  readonly sums: Counts;
}
