/** The app as both entries for Deno serve it: a folder, a bucket or memory, Deno's own key-value store where there is one, pack threads. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createApp } from '../../src/app.ts';
import { resolveConfig, type Config } from '../../src/config.ts';
import type { App } from '../../src/platform.ts';
import type { DriverStorage } from '../../src/storage/drivers/unstorage-driver.ts';
import type { Kv } from '../../src/storage/kv/contract.ts';
import { openKv } from '../open-kv.ts';
import { openServedStorage } from '../threads/open-threads.ts';
import { EXIT_WRONG_SETTING } from '../process.ts';
import { warnUnknownSettings } from '../unknown-settings.ts';
import { runtime } from './runtime.ts';

const CRON_SCHEDULE = '*/5 * * * *';
/** Deno Deploy sends SIGINT and kills after 5 s: what is left after this writes the counts. */
const INTERRUPTED_MS = 2_000;

export interface DenoApp {
  readonly app: App;
  readonly config: Config;
  /** Ends what runs, but for the server, whose own end is `serverClosed`; then writes what is to be kept. */
  stop(name: NodeJS.Signals, serverClosed: Promise<unknown>): Promise<void>;
}

/** A schedule has to be known before the first `await` of the module that is run. */
export function scheduleWork(opening: Promise<DenoApp>): void {
  void runtime?.cron?.('hotpack', CRON_SCHEDULE, async () => (await opening).app.runDue());
}

export async function openDenoApp(): Promise<DenoApp> {
  const log = (line: string): void => console.error(line);
  const warn = (event: string, message: string): void =>
    log(JSON.stringify({ time: new Date().toISOString(), level: 'warn', event, message }));
  // What the runtime has to say about our use of it is a line of the log as any other.
  console.warn = (...said: unknown[]): void => warn('runtime_warning', said.map(String).join(' '));
  process.emitWarning = (said: string | Error): void => warn('runtime_warning', String(said));
  const { config, warnings } = readConfig();
  warnUnknownSettings(warnings, config, log);
  // A bundle that lies alone works on packs in place.
  const entry = new URL('./pack-thread.js', import.meta.url);
  const { place, storage, threads } = await openServedStorage(config, {
    entry: existsSync(fileURLToPath(entry)) ? entry : undefined,
    readsInPlace: false,
  });
  const kv = await openRuntimeKv(config, storage, (error) => warn('kv_absent', String(error)));
  const app = createApp(
    {
      kind: 'deno',
      storage,
      kv,
      threads,
      sharesWork: true,
      sharesStorage: place.kind === 's3',
      // As on Deno Deploy, where disks go with their instances.
      endsAnyTime: place.kind === 's3',
      fetch: globalThis.fetch,
      now: Date.now,
      log,
    },
    config,
  );
  return {
    app,
    config,
    async stop(name, serverClosed) {
      const { shutdownTimeoutMs } = config;
      const withinMs = name === 'SIGINT' ? Math.min(INTERRUPTED_MS, shutdownTimeoutMs) : shutdownTimeoutMs;
      const ending = new AbortController();
      const late = new Promise<void>((done) => setTimeout(done, withinMs)).then(() => ending.abort());
      const { signal } = ending;
      await Promise.all([app.stop(signal), Promise.race([serverClosed, late])]);
      await app.close();
      await threads?.close();
      await kv.close();
      await storage.close();
    },
  };
}

/** Where nothing else is set, counts are kept in Deno's own store if it can be opened: disks there are not for keeping. */
async function openRuntimeKv(config: Config, storage: DriverStorage, onAbsent: (error: unknown) => void): Promise<Kv> {
  if (config.kv.kind !== 'store' || runtime?.openKv === undefined) return openKv(config.kv, async () => storage);
  try {
    return await openKv({ kind: 'deno', path: undefined }, async () => storage);
  } catch (error) {
    onAbsent(error);
    return openKv(config.kv, async () => storage);
  }
}

function readConfig(): ReturnType<typeof resolveConfig> {
  try {
    return resolveConfig(process.env, { edge: false, hasDenoKv: runtime?.openKv !== undefined });
  } catch (error) {
    console.error((error as Error).message);
    process.exit(EXIT_WRONG_SETTING);
  }
}
