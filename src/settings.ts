/**
 * Every setting: its name in the environment, what it takes, its default and its meaning. The README's table is
 * generated from here (`npm run docs`), so that what is documented is what is honoured.
 */
import {
  awsValue,
  byteSize,
  duration,
  endpoint,
  folderSpec,
  host,
  kvSpec,
  oneOf,
  port,
  storageSpec,
  storeSize,
  token,
  tokenList,
  upstreamList,
  wholeNumber,
  type KvSpec,
  type StorageSpec,
  type StoreSize,
  type UpstreamEntry,
  type ValueSchema,
} from './setting-values.ts';
import { LOG_LEVELS, type LogLevel } from './telemetry/logger.ts';

/** The settings one by one, as the environment gives them. Names end in the unit. */
export interface Settings {
  readonly host: string;
  readonly port: number;
  readonly upstreams: readonly UpstreamEntry[];
  readonly upstreamTokens: ReadonlyMap<string, string>;
  readonly storage: StorageSpec;
  readonly s3Endpoint: string;
  readonly s3Region: string;
  readonly s3AccessKeyId: string;
  readonly s3SecretAccessKey: string;
  readonly s3SessionToken: string;
  /** A folder; empty: none. */
  readonly blockCache: string;
  readonly blockCacheBytes: number;
  readonly kv: KvSpec;
  readonly refCheckIntervalMs: number;
  readonly fetchTimeoutMs: number;
  readonly cloneTimeoutMs: number;
  readonly lsRefsTimeoutMs: number;
  readonly staleIfErrorMs: number;
  readonly accessTtlMs: number;
  readonly accessDenyTtlMs: number;
  readonly maxBytes: StoreSize;
  readonly packCacheBytes: number;
  /** 0: no limit. */
  readonly maxMirrorBytes: number;
  readonly memoryBytes: number;
  readonly maxRequestBytes: number;
  readonly kvFlushIntervalMs: number;
  readonly cloneRetentionMs: number;
  readonly prewarmMostClonedRepos: number;
  readonly prewarmWindowMs: number;
  readonly prewarmConcurrency: number;
  readonly prewarmIntervalMs: number;
  /** Empty: none. */
  readonly adminToken: string;
  /** 1: metrics name repositories, and are for whom `/api` is for. */
  readonly metricsPerRepo: number;
  readonly shutdownTimeoutMs: number;
  readonly logLevel: LogLevel;
}

export interface Setting<T = unknown> {
  readonly env: string;
  readonly default: string;
  /** Where memory is dear: Workers. */
  readonly edgeDefault?: string;
  readonly value: ValueSchema<T>;
  /** One sentence for the README. */
  readonly meaning: string;
  /** Its value never comes out, not even in an error. */
  readonly secret?: true;
}

/** Upstreams whose hosts take `A/B` and `a/b` for one repository. */
export const IGNORE_CASE: readonly string[] = ['github.com', 'gitlab.com', 'bitbucket.org', 'codeberg.org'];

export const SETTINGS: { readonly [K in keyof Settings]: Setting<Settings[K]> } = {
  host: { env: 'HOST', default: '127.0.0.1', value: host(), meaning: 'the address to listen on' },
  port: { env: 'PORT', default: '8080', value: port(), meaning: 'the port to listen on' },
  upstreams: {
    env: 'HOTPACK_UPSTREAMS',
    default: IGNORE_CASE.join(','),
    value: upstreamList(),
    meaning: 'the hosts that hotpack serves from; `name` alone stands for `https://name`',
  },
  upstreamTokens: {
    env: 'HOTPACK_UPSTREAM_TOKENS',
    default: '',
    value: tokenList(),
    secret: true,
    meaning:
      "hotpack's own credential toward an upstream; it fills mirrors and fetches for clients that the upstream itself let in, and never decides who may read",
  },
  storage: {
    env: 'HOTPACK_STORAGE',
    default: 'fs:.hotpack',
    edgeDefault: 'memory:',
    value: storageSpec(),
    meaning:
      'where mirrors and stored answers are kept; a folder is relative to the working directory, a bucket is on Amazon S3 or on a server that speaks its API, conditional writes included',
  },
  s3Endpoint: {
    env: 'AWS_ENDPOINT_URL_S3',
    default: '',
    value: endpoint(),
    meaning: "the server that is asked for `/BUCKET/KEY`; not set: Amazon's of the region",
  },
  s3Region: { env: 'AWS_REGION', default: 'us-east-1', value: awsValue(), meaning: "the bucket's region" },
  s3AccessKeyId: {
    env: 'AWS_ACCESS_KEY_ID',
    default: '',
    value: awsValue(),
    meaning: "the bucket's credential; it must be allowed to list, read, write and delete",
  },
  s3SecretAccessKey: {
    env: 'AWS_SECRET_ACCESS_KEY',
    default: '',
    value: awsValue(),
    secret: true,
    meaning: 'its secret',
  },
  s3SessionToken: {
    env: 'AWS_SESSION_TOKEN',
    default: '',
    value: awsValue(),
    secret: true,
    meaning: 'its session, where it has one',
  },
  blockCache: {
    env: 'HOTPACK_BLOCK_CACHE',
    default: '',
    value: folderSpec(),
    meaning: 'a folder of this machine that keeps what is read from a bucket; it may be lost at any time',
  },
  blockCacheBytes: {
    env: 'HOTPACK_BLOCK_CACHE_BYTES',
    default: '10GiB',
    value: byteSize(2 ** 20),
    meaning: 'what that folder holds at most',
  },
  kv: {
    env: 'HOTPACK_KV',
    default: '',
    value: kvSpec(),
    secret: true,
    meaning:
      'where counters are kept; instances that share it share them. Not set: on Deno its own store where it has one, else inside the store, in `DIR/kv`',
  },
  refCheckIntervalMs: {
    env: 'HOTPACK_REF_CHECK_INTERVAL',
    default: '10s',
    value: duration(),
    meaning: 'how old the refs may be that a client is shown; 0 asks upstream every time',
  },
  fetchTimeoutMs: {
    env: 'HOTPACK_FETCH_TIMEOUT',
    default: '5m',
    value: duration({ positive: true }),
    meaning: 'the limit for the update of a mirror that is here, from its request to its last byte',
  },
  cloneTimeoutMs: {
    env: 'HOTPACK_CLONE_TIMEOUT',
    default: '1h',
    value: duration({ positive: true }),
    meaning: 'the limit for the first fill of a mirror',
  },
  lsRefsTimeoutMs: {
    env: 'HOTPACK_LS_REFS_TIMEOUT',
    default: '1m',
    value: duration({ positive: true }),
    meaning: 'the limit for asking upstream for its refs',
  },
  staleIfErrorMs: {
    env: 'HOTPACK_STALE_IF_ERROR',
    default: '1h',
    value: duration(),
    meaning: 'how long refs and confirmed access outlive an upstream that gives no answer; 0 not at all',
  },
  accessTtlMs: {
    env: 'HOTPACK_ACCESS_TTL',
    default: '1m',
    value: duration(),
    meaning: "how long upstream's yes to a credential is kept; 0 asks every time",
  },
  accessDenyTtlMs: {
    env: 'HOTPACK_ACCESS_DENY_TTL',
    default: '5s',
    value: duration(),
    meaning: "how long upstream's no is kept, at most as long as a yes; 0 asks every time",
  },
  maxBytes: {
    env: 'HOTPACK_MAX_BYTES',
    default: '80%',
    value: storeSize(),
    meaning:
      'mirrors in all: above it the least recently used go, but for those in use; a share is of the volume, and no limit where there is none (memory, buckets); 0 is none',
  },
  packCacheBytes: {
    env: 'HOTPACK_PACK_CACHE_BYTES',
    default: '10GiB',
    value: byteSize(),
    meaning: 'stored answers in all; 0 keeps none',
  },
  maxMirrorBytes: {
    env: 'HOTPACK_MAX_MIRROR_BYTES',
    default: '0',
    value: byteSize(),
    meaning:
      'the packs of one mirror: a repository that takes more gets none, and one that comes to it goes; its requests pass through, with stored answers, and a day later it is tried again; 0 is no limit',
  },
  memoryBytes: {
    env: 'HOTPACK_MEMORY_BYTES',
    default: '512MiB',
    edgeDefault: '64MiB',
    value: byteSize(16 * 2 ** 20),
    meaning: 'caches and windows in memory',
  },
  maxRequestBytes: {
    env: 'HOTPACK_MAX_REQUEST_BYTES',
    default: '64MiB',
    value: byteSize(1024),
    meaning: 'the longest request of a fetching client, decoded; pushes pass through and are not counted',
  },
  kvFlushIntervalMs: {
    env: 'HOTPACK_KV_FLUSH_INTERVAL',
    default: '5s',
    value: duration({ positive: true }),
    meaning: 'how often counters are written: what a killed process loses',
  },
  cloneRetentionMs: {
    env: 'HOTPACK_CLONE_RETENTION',
    default: '90d',
    value: duration({ positive: true, calendar: true }),
    meaning: 'how long counters are kept, in days begun',
  },
  prewarmMostClonedRepos: {
    env: 'HOTPACK_PREWARM_MOST_CLONED_REPOS',
    default: '0',
    value: wholeNumber({ min: 0, max: 100_000 }),
    meaning:
      'how many of the most cloned repositories are kept warm: brought up to date, or cloned where they are not here, in the background from the start on; 0 warms nothing',
  },
  prewarmWindowMs: {
    env: 'HOTPACK_PREWARM_WINDOW',
    default: '14d',
    value: duration({ positive: true, calendar: true }),
    meaning: 'how far back clones are counted for that, in days begun, today included',
  },
  prewarmConcurrency: {
    env: 'HOTPACK_PREWARM_CONCURRENCY',
    default: '2',
    value: wholeNumber({ min: 1, max: 16 }),
    meaning: 'how many repositories are warmed at the same time',
  },
  prewarmIntervalMs: {
    env: 'HOTPACK_PREWARM_INTERVAL',
    default: '1h',
    value: duration(),
    meaning: 'how often that is repeated, by one of the instances that share a store; 0 only at the start',
  },
  adminToken: {
    env: 'HOTPACK_ADMIN_TOKEN',
    default: '',
    value: token(),
    secret: true,
    meaning:
      'the bearer token of `/api`; not set, `/api` answers only those who ask from the same machine, by a loopback name, and not through a proxy',
  },
  metricsPerRepo: {
    env: 'HOTPACK_METRICS_PER_REPO',
    default: '0',
    value: wholeNumber({ min: 0, max: 1 }),
    meaning:
      '1 puts repository names into the labels of `hotpack_requests_total` and `hotpack_served_bytes_total`; `/metrics` then answers only those whom `/api` answers',
  },
  shutdownTimeoutMs: {
    env: 'HOTPACK_SHUTDOWN_TIMEOUT',
    default: '30s',
    value: duration(),
    meaning: 'how long running requests and jobs may go on after SIGTERM or SIGINT',
  },
  logLevel: {
    env: 'HOTPACK_LOG_LEVEL',
    default: 'info',
    value: oneOf(LOG_LEVELS),
    meaning: 'the lowest level of log lines that come out',
  },
};
