/**
 * The built Worker in real workerd on this machine, bound to what `wrangler.toml` names and started with the settings that
 * `npm start` takes: bucket and namespace persist in the folder of `HOTPACK_STORAGE`, and what was counted there, or where
 * `HOTPACK_KV` says, is copied into the namespace at the start. The queue is this process's memory. `/cdn-cgi/handler/scheduled`
 * is the cron.
 */
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { Miniflare, type SharedOptions, type WorkerOptions } from 'miniflare';
import { unstable_getMiniflareWorkerOptions as readWorkerOptions } from 'wrangler';
import { resolveConfig, type Config } from '../../src/config.ts';
import { COUNTS_PREFIX } from '../../src/popularity/histogram/key.ts';
import { openCloudflareKv } from '../../src/storage/drivers/cloudflare-kv.ts';
import { openFsStorage } from '../../src/storage/drivers/fs.ts';
import { openKv } from '../open-kv.ts';
import { EXIT_WRONG_SETTING, exitOnSignal, fail } from '../process.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
/** What the Worker is not told: here it listens and keeps things elsewhere. */
const OURS = new Set(['HOTPACK_STORAGE', 'HOTPACK_KV']);

process.on('uncaughtException', fail);
const config = readConfig();
const { storage, kv, host, port } = config;
const folder = storage.kind === 'fs' ? resolve(storage.folder) : undefined;
const { workerOptions, main } = readWorkerOptions(join(root, 'wrangler.toml'));
const path = main as string;
const settings = Object.entries(process.env).filter(([name]) => name.startsWith('HOTPACK_') && !OURS.has(name));
const worker: WorkerOptions = {
  ...(workerOptions as object),
  name: 'hotpack',
  modules: [{ type: 'ESModule', path, contents: readFileSync(path, 'utf8') }],
  modulesRoot: root,
  bindings: { ...workerOptions.bindings, ...(Object.fromEntries(settings) as Record<string, string>) },
};
const shared: SharedOptions = {
  host,
  port,
  unsafeTriggerHandlers: true,
  handleRuntimeStdio(out: Readable, err: Readable) {
    for (const stream of [out, err]) stream.pipe(process.stderr, { end: false });
  },
  ...(folder === undefined ? {} : { r2Persist: join(folder, 'r2'), kvPersist: join(folder, 'workers-kv') }),
};
if (folder !== undefined) mkdirSync(folder, { recursive: true });
const miniflare = new Miniflare({ ...shared, workers: [worker] });
const url = await miniflare.ready.catch(fail);
await copyCounts().catch(fail);
exitOnSignal(() => miniflare.dispose());
process.stdout.write(`hotpack listening on ${url.href.replace(/\/$/, '')}\n`);

/** Under the keys that they have: copied again, they count once. */
async function copyCounts(): Promise<void> {
  if (kv.kind === 'memory' || (kv.kind === 'store' && (folder === undefined || !existsSync(join(folder, 'kv')))))
    return;
  const storeFolder = await openFsStorage({ folder: folder ?? '.hotpack' });
  const from = await openKv(kv, () => Promise.resolve(storeFolder));
  const to = openCloudflareKv((await miniflare.getKVNamespace('KV')) as never);
  for await (const key of from.list(COUNTS_PREFIX)) {
    const value = await from.get(key);
    if (value.kind === 'found') await to.set(key, value.text);
  }
  await from.close();
  await storeFolder.close();
}

function readConfig(): Config {
  try {
    return resolveConfig(process.env, { edge: false }).config;
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    process.exit(EXIT_WRONG_SETTING);
  }
}
