/** hotpack on Deno: the disk or memory, pack work in place. Running this module serves. */
import { serve } from 'h3/deno';
import { createApp } from '../src/app.ts';
import { resolveConfig } from '../src/config.ts';
import { openFsStorage } from '../src/storage/drivers/fs.ts';
import { createMemoryStorage } from '../src/storage/drivers/memory.ts';
import { openKv } from './open-kv.ts';
import { warnUnknownSettings } from './unknown-settings.ts';

declare const Deno: {
  readonly env: { toObject(): Record<string, string> };
  exit(code: number): never;
  addSignalListener(signal: 'SIGINT' | 'SIGTERM', listener: () => void): void;
};

const EXIT_WRONG_SETTING = 2;

const log = (line: string): void => console.error(line);
const { config, warnings } = readConfig();
warnUnknownSettings(warnings, config, log);
const { storage: spec, host: hostname, port } = config;
const storage = spec.kind === 'fs' ? await openFsStorage({ folder: spec.folder }) : createMemoryStorage();
const kv = await openKv(config.kv, async () => storage);
const app = createApp(
  { kind: 'deno', storage, kv, threads: undefined, sharesWork: true, fetch: globalThis.fetch, now: Date.now, log },
  config,
);
const server = serve(app.h3, { hostname, port, silent: true, gracefulShutdown: false });
await server.ready();
await app.start();
for (const signal of ['SIGTERM', 'SIGINT'] as const) Deno.addSignalListener(signal, onSignal);
console.log(`hotpack listening on ${server.url?.replace(/\/$/, '')}`);

let isStopping = false;
function onSignal(): void {
  if (isStopping) Deno.exit(0);
  isStopping = true;
  void stop().finally(() => Deno.exit(0));
}

async function stop(): Promise<void> {
  const signal = AbortSignal.timeout(config.shutdownTimeoutMs);
  const late = new Promise((resolve) => signal.addEventListener('abort', resolve));
  await Promise.all([app.stop(signal), Promise.race([server.close(), late])]);
  await app.close();
  await kv.close();
  await storage.close();
}

function readConfig(): ReturnType<typeof resolveConfig> {
  try {
    return resolveConfig(Deno.env.toObject(), { edge: false });
  } catch (error) {
    console.error((error as Error).message);
    Deno.exit(EXIT_WRONG_SETTING);
  }
}
