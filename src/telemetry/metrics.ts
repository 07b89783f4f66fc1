/** Every metric's name, labels and meaning: what `GET /metrics` shows. */
import { createRegistry, type Counter, type Gauge, type Histogram, type NoLabels } from './registry.ts';

/** What a request asked for: `info-refs` and `other` cover every method, `proxy` is what goes through byte for byte. */
export type RequestKind = 'info-refs' | 'ls-refs' | 'fetch' | 'push' | 'proxy' | 'other';
/** Where an answer came from; `none` where hotpack answered by itself (errors, probes). */
export type AnswerSource = 'pack-cache' | 'mirror' | 'upstream' | 'none';
export type UpstreamOperation = 'info-refs' | 'ls-refs' | 'fetch' | 'proxy';
export type UpstreamOutcome = 'ok' | 'denied' | 'throttled' | 'failed' | 'timeout';
export type StoredKind = 'mirrors' | 'answers';
export type JobState = 'queued' | 'running';
/** `stale`: granted from a confirmation kept while upstream gave no answer; `unavailable`: no answer and none kept. */
export type AccessDecision = 'granted' | 'denied' | 'stale' | 'unavailable';

export type PrewarmOutcome = 'complete' | 'empty_histogram' | 'aborted' | 'failed';
export type PrewarmPath = 'fetch' | 'clone' | 'restore';
export type PrewarmStatus = 'ok' | 'error' | 'timeout' | 'gone' | 'no_access' | 'skipped';

export interface Metrics {
  /** `repo`, here and below: only where metrics are kept by repository; empty where none was read. */
  readonly requests: Counter<{ kind: RequestKind; source: AnswerSource; repo: string }>;
  readonly requestSeconds: Histogram<{ kind: RequestKind; source: AnswerSource }>;
  readonly servedBytes: Counter<{ source: AnswerSource; repo: string }>;
  readonly upstreamRequests: Counter<{ operation: UpstreamOperation; outcome: UpstreamOutcome }>;
  readonly upstreamBytes: Counter<NoLabels>;
  readonly mirrors: Gauge<NoLabels>;
  readonly storedBytes: Gauge<{ what: StoredKind }>;
  /** What went from the store to make room. */
  readonly evictions: Counter<{ what: StoredKind }>;
  readonly jobs: Gauge<{ state: JobState }>;
  readonly access: Counter<{ decision: AccessDecision }>;
  readonly clones: Counter<NoLabels>;
  /** What the histogram has lost since the key-value store took nothing for too long. */
  readonly countsDropped: Counter<NoLabels>;
  readonly prewarmPasses: Counter<{ outcome: PrewarmOutcome }>;
  readonly prewarmPassSeconds: Histogram<{ outcome: PrewarmOutcome }>;
  readonly prewarmRepoSeconds: Histogram<{ path: PrewarmPath; status: PrewarmStatus }>;
  readonly warmedRequests: Counter<{ source: AnswerSource }>;
  /** `collect` is called before every `render`, to set gauges that would cost something to keep up to date. */
  onCollect(collect: () => void | Promise<void>): void;
  /** Prometheus' text format. */
  render(): Promise<string>;
}

const DURATION_BUCKETS_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900];

export interface MetricsOptions {
  /** Repository names as labels: as many numbers more as repositories are read. Default false. */
  readonly perRepo?: boolean;
}

export function createMetrics({ perRepo = false }: MetricsOptions = {}): Metrics {
  const byRepo = perRepo ? (['repo'] as const) : [];
  const registry = createRegistry();
  const collectors: (() => void | Promise<void>)[] = [];
  return {
    requests: registry.counter({
      name: 'hotpack_requests_total',
      help: 'Requests answered, by what was asked and where the answer came from.',
      labels: ['kind', 'source', ...byRepo],
    }),
    requestSeconds: registry.histogram({
      name: 'hotpack_request_duration_seconds',
      help: 'From the request to the last byte of its answer.',
      labels: ['kind', 'source'],
      buckets: DURATION_BUCKETS_SECONDS,
    }),
    servedBytes: registry.counter({
      name: 'hotpack_served_bytes_total',
      help: 'Bytes of answer bodies, by where they came from.',
      labels: ['source', ...byRepo],
    }),
    upstreamRequests: registry.counter({
      name: 'hotpack_upstream_requests_total',
      help: 'Requests sent to upstreams, by operation and outcome.',
      labels: ['operation', 'outcome'],
    }),
    upstreamBytes: registry.counter({
      name: 'hotpack_upstream_bytes_total',
      help: 'Bytes of bodies received from upstreams.',
      labels: [],
    }),
    mirrors: registry.gauge({ name: 'hotpack_mirrors', help: 'Mirrors in the store.', labels: [] }),
    storedBytes: registry.gauge({
      name: 'hotpack_stored_bytes',
      help: 'Bytes in the store, by what they are.',
      labels: ['what'],
    }),
    evictions: registry.counter({
      name: 'hotpack_evictions_total',
      help: 'Things removed from the store to make room, by what they were.',
      labels: ['what'],
    }),
    jobs: registry.gauge({ name: 'hotpack_jobs', help: 'Background jobs by state.', labels: ['state'] }),
    access: registry.counter({
      name: 'hotpack_access_total',
      help: 'Access decisions.',
      labels: ['decision'],
    }),
    clones: registry.counter({
      name: 'hotpack_clones_total',
      help: 'Clones answered, shallow and partial ones included.',
      labels: [],
    }),
    countsDropped: registry.counter({
      name: 'hotpack_counts_dropped_total',
      help: 'Counts that never reached the histogram, for want of memory while the key-value store failed.',
      labels: [],
    }),
    prewarmPasses: registry.counter({
      name: 'hotpack_prewarm_passes_total',
      help: 'Warm passes that have ended, by how.',
      labels: ['outcome'],
    }),
    prewarmPassSeconds: registry.histogram({
      name: 'hotpack_prewarm_pass_duration_seconds',
      help: 'Duration of warm passes, by how they ended.',
      labels: ['outcome'],
      buckets: DURATION_BUCKETS_SECONDS,
    }),
    prewarmRepoSeconds: registry.histogram({
      name: 'hotpack_prewarm_repo_duration_seconds',
      help: 'Warming of one repository, by how it was reached and how it ended.',
      labels: ['path', 'status'],
      buckets: DURATION_BUCKETS_SECONDS,
    }),
    warmedRequests: registry.counter({
      name: 'hotpack_warmed_requests_total',
      help: 'Fetches of repositories that warming had made ready, by where the answer came from.',
      labels: ['source'],
    }),
    onCollect(collect) {
      collectors.push(collect);
    },
    async render() {
      for (const collect of collectors) await collect();
      return registry.render();
    },
  };
}
