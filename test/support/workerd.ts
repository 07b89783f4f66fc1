/**
 * The built Worker in real workerd (miniflare): alone in its folder, with the bindings that `wrangler.toml` names. `isolates` of
 * them share bucket, key-value namespace and queue, each listening for itself.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { Miniflare, type MiniflareOptions } from 'miniflare';
import { dayOf } from '../../src/popularity/histogram/day.ts';
import { importClones } from '../../src/popularity/histogram/transfer.ts';
import { openCloudflareKv, type CloudflareKvNamespace } from '../../src/storage/drivers/cloudflare-kv.ts';
import type { R2Bucket } from '../../src/storage/drivers/r2/binding.ts';
import { temporaryFolder } from './git.ts';

const bundle = fileURLToPath(new URL('../../dist/adapters/cloudflare.js', import.meta.url));

export interface WorkerdOptions {
  /** Upstream name → base URL. */
  readonly upstreams: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
  /** Which bindings there are. Default: none; then memory holds everything. */
  readonly bindings?: readonly ('BUCKET' | 'KV' | 'QUEUE')[];
  /** Default 1. */
  readonly isolates?: number;
  /** Where bucket and namespace persist; a new one by default. */
  readonly folder?: string;
  /** Puts `workerd/observed-bindings.mjs` between the Worker and its bindings: see there. */
  readonly observed?: {
    /** `<binding>.<method> <key's start>…<part of the key>`, or `…<its end>$`: the call in which an event hangs for ever. */
    readonly hang?: string;
    readonly clockMs?: number;
    /** The end of keys: whatever comes to lie under one is printed as `test_put`. */
    readonly printed?: string;
  };
  /** Opens the inspector of each isolate: `Workerd.inspectorUrl`. */
  readonly inspected?: boolean;
}

export class Workerd {
  readonly miniflare: Miniflare;
  readonly urls: readonly string[];
  /** What the Worker printed: JSON lines, and whatever else. */
  readonly output: readonly string[];

  constructor(miniflare: Miniflare, urls: readonly string[], output: readonly string[]) {
    this.miniflare = miniflare;
    this.urls = urls;
    this.output = output;
  }

  /** The URL of a repository through an isolate. */
  repository(name: string, isolate = 0): string {
    return `${this.urls[isolate]}/git/${name}.git`;
  }

  /** Log lines of that event. */
  logged(event: string): Record<string, unknown>[] {
    return this.output
      .flatMap((text) => text.split('\n'))
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .filter((line) => line['event'] === event);
  }

  /** Waits until the Worker has logged the event `count` times. */
  async waitFor(event: string, count = 1, timeoutMs = 20_000): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    while (this.logged(event).length < count) {
      if (Date.now() > deadline)
        throw new Error(`no ${count} × ${event} after ${timeoutMs} ms\n${this.output.join('')}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** What the runtime does when the cron's time has come. */
  async cron(isolate = 0): Promise<void> {
    const worker = (await this.miniflare.getWorker(`isolate-${isolate}`)) as unknown as {
      scheduled(options: { readonly cron: string }): Promise<unknown>;
    };
    await worker.scheduled({ cron: '*/15 * * * *' });
  }

  /** As `hotpack counts import` would: each name with so many clones today. */
  async importCounts(clones: Readonly<Record<string, number>>): Promise<void> {
    const namespace = (await this.miniflare.getKVNamespace('KV', 'isolate-0')) as unknown as CloudflareKvNamespace;
    const day = dayOf(Date.now());
    const lines = Object.entries(clones).map(([repo, count]) => ({ repo, day, clones: count }));
    await importClones(openCloudflareKv(namespace), lines, { now: Date.now, keptDays: 90 });
  }

  /** What its requests have asked of bindings and of upstream since this was last asked. Only where it is `observed`. */
  async takeCalls(isolate = 0): Promise<{ readonly calls: number; readonly by: Readonly<Record<string, number>> }> {
    const answer = await fetch(`${this.urls[isolate]}/test-calls`);
    return (await answer.json()) as Awaited<ReturnType<Workerd['takeCalls']>>;
  }

  async bucket(): Promise<R2Bucket> {
    return (await this.miniflare.getR2Bucket('BUCKET', 'isolate-0')) as unknown as R2Bucket;
  }

  /** Keys of the bucket, as they are there. */
  async keys(prefix: string): Promise<string[]> {
    const { objects } = await (await this.bucket()).list({ prefix });
    return objects.map(({ key }) => key);
  }

  /** Where a debugger connects. */
  async inspectorUrl(isolate = 0): Promise<string> {
    const url = await this.miniflare.getInspectorURL();
    return new URL(`/core:user:isolate-${isolate}`, url).href;
  }

  async stop(): Promise<void> {
    await this.miniflare.dispose();
  }
}

interface WorkerModule {
  readonly type: 'ESModule';
  readonly path: string;
  readonly contents: string;
}

/** The bundle alone, so that nothing beside it can be loaded; or what observes it, with the bundle's bindings taken from there. */
function modulesOf(options: WorkerdOptions): WorkerModule[] {
  const contents = readFileSync(bundle, 'utf8');
  if (options.observed === undefined) return [{ type: 'ESModule', path: 'cloudflare.mjs', contents }];
  const observer = (name: string): WorkerModule => ({
    type: 'ESModule',
    path: name,
    contents: readFileSync(new URL(`workerd/${name}`, import.meta.url), 'utf8'),
  });
  return [
    observer('observed-worker.mjs'),
    {
      type: 'ESModule',
      path: 'cloudflare.mjs',
      contents: contents.replace(/from\s*"cloudflare:workers"/, 'from "./observed-bindings.mjs"'),
    },
    observer('observed-bindings.mjs'),
  ];
}

export async function startWorkerd(options: WorkerdOptions): Promise<Workerd> {
  const modules = modulesOf(options);
  const output: string[] = [];
  const has = (name: 'BUCKET' | 'KV' | 'QUEUE'): boolean => options.bindings?.includes(name) ?? false;
  const upstreams = Object.entries(options.upstreams).map(([name, base]) => `${name}=${base}`);
  const names = Array.from({ length: options.isolates ?? 1 }, (_, i) => `isolate-${i}`);
  const folder = options.folder ?? temporaryFolder('workerd');
  const miniflareOptions: MiniflareOptions = {
    ...(options.inspected === true ? { inspectorPort: 0 } : {}),
    host: '127.0.0.1',
    port: 0,
    r2Persist: join(folder, 'r2'),
    kvPersist: join(folder, 'kv'),
    handleRuntimeStdio(out: Readable, err: Readable) {
      for (const input of [out, err]) createInterface({ input }).on('line', (line) => output.push(`${line}\n`));
    },
    workers: names.map((name) => ({
      name,
      modules,
      compatibilityDate: '2026-07-01',
      compatibilityFlags: ['nodejs_compat', 'enable_request_signal'],
      unsafeDirectSockets: [{ host: '127.0.0.1', port: 0 }],
      bindings: {
        HOTPACK_UPSTREAMS: upstreams.join(','),
        HOTPACK_REF_CHECK_INTERVAL: '0',
        HOTPACK_LOG_LEVEL: 'debug',
        ...(options.observed?.hang === undefined ? {} : { TEST_HANG: options.observed.hang }),
        ...(options.observed?.printed === undefined ? {} : { TEST_PRINTED: options.observed.printed }),
        ...(options.observed?.clockMs === undefined ? {} : { TEST_CLOCK_MS: String(options.observed.clockMs) }),
        ...options.env,
      },
      ...(has('BUCKET') ? { r2Buckets: { BUCKET: 'hotpack' } } : {}),
      ...(has('KV') ? { kvNamespaces: { KV: 'hotpack' } } : {}),
      ...(has('QUEUE') ? { queueProducers: { QUEUE: 'hotpack-tasks' } } : {}),
      ...(has('QUEUE') && name === names.at(-1)
        ? { queueConsumers: { 'hotpack-tasks': { maxBatchSize: 1, maxBatchTimeout: 0, maxRetries: 5, retryDelay: 1 } } }
        : {}),
    })),
  };
  const miniflare = new Miniflare(miniflareOptions);
  await miniflare.ready;
  const urls = await Promise.all(
    names.map(async (name) => (await miniflare.unsafeGetDirectURL(name)).href.replace(/\/$/, '')),
  );
  return new Workerd(miniflare, urls, output);
}
