/** hotpack on Node: the disk, memory or a bucket, packs indexed, selected and written in worker threads. Running this module serves. */
import type { Server } from 'node:http';
import { setFlagsFromString } from 'node:v8';
import { serve } from 'h3/node';
import { createApp } from '../src/app.ts';
import { resolveConfig } from '../src/config.ts';
import { EXIT_WRONG_SETTING, exitOnSignal, fail } from './process.ts';
import { answerGit } from './node-git.ts';
import { sendBodies } from './node-send.ts';
import { closeServer } from './node-server.ts';
import { openKv } from './open-kv.ts';
import { openServedStorage } from './threads/open-threads.ts';
import { createNodeFetch } from './node-fetch.ts';
import { warnUnknownSettings } from './unknown-settings.ts';

process.on('uncaughtException', fail);
const { config, warnings } = readConfig();
const log = (line: string): void => void process.stderr.write(`${line}\n`);
warnUnknownSettings(warnings, config, log);
const entry = new URL('./pack-thread.js', import.meta.url);
const { place, storage, threads } = await openServedStorage(config, { entry, readsInPlace: true }).catch(fail);
// What streams leave behind is buffers outside the heap, which only a collection frees; few small objects come with them, so
// a young generation that grows lets hundreds of megabytes wait. Kept at its first size it is collected often, and cheaply.
// A thread that starts under other flags than Node was built with compiles all of Node's own modules: so not before the first runs.
void (threads?.online ?? Promise.resolve()).then(() => setFlagsFromString('--semi-space-growth-factor=1'));
const kv = await openKv(config.kv, async () => storage).catch(fail);
const app = createApp(
  {
    kind: 'node',
    storage,
    kv,
    threads,
    sharesWork: true,
    sharesStorage: place.kind === 's3',
    fetch: createNodeFetch(),
    now: Date.now,
    log,
  },
  config,
);
const { host: hostname, port } = config;
// Signals are ours, and a push may take longer than Node's five minutes for a request.
const node = { requestTimeout: 0 };
const middleware = [sendBodies, answerGit(app.git)];
const server = serve(app.h3, { hostname, port, node, middleware, silent: true, gracefulShutdown: false });
await server.ready().catch(fail);
await app.start();
exitOnSignal(async () => {
  const signal = AbortSignal.timeout(config.shutdownTimeoutMs);
  await Promise.all([app.stop(signal), closeServer(server.node?.server as Server, signal)]);
  await app.close();
  await threads?.close();
  await kv.close();
  await storage.close();
});
process.stdout.write(`hotpack listening on ${server.url?.replace(/\/$/, '')}\n`);

function readConfig(): ReturnType<typeof resolveConfig> {
  try {
    return resolveConfig(process.env, { edge: false });
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    process.exit(EXIT_WRONG_SETTING);
  }
}
