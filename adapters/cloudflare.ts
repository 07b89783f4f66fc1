/** hotpack on Cloudflare Workers: memory of the isolate, pack work in place. */
import { env } from 'cloudflare:workers';
import { serve } from 'h3/cloudflare';
import { createApp } from '../src/app.ts';
import { resolveConfig } from '../src/config.ts';
import { createMemoryStorage } from '../src/storage/drivers/memory.ts';
import { createKv } from '../src/storage/kv/driver-kv.ts';
import { warnUnknownSettings } from './unknown-settings.ts';

type Server = ReturnType<typeof serve>;
let server: Server | undefined;

/** Made with the first request: random numbers and timers are refused before it. */
function createServer(): Server {
  const { config, warnings } = resolveConfig(textOnly(env), { edge: true });
  const log = (line: string): void => console.log(line);
  warnUnknownSettings(warnings, config, log);
  const storage = createMemoryStorage();
  const kv = createKv(storage, { base: 'kv', ownsDriver: false });
  const runtimeFetch: typeof fetch = (input, init) => fetch(input, init);
  const app = createApp(
    { kind: 'cloudflare', storage, kv, threads: undefined, sharesWork: false, fetch: runtimeFetch, now: Date.now, log },
    config,
  );
  return serve(app.h3, { manual: true });
}

/** Bindings that are no text are no settings. */
function textOnly(bindings: Readonly<Record<string, unknown>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(bindings).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
}

const worker: { fetch(request: Request, bindings: unknown, context: unknown): ReturnType<Server['fetch']> } = {
  fetch: (...args) => (server ??= createServer()).fetch(...args),
};
export default worker;
