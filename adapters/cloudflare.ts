/** hotpack on Cloudflare Workers: requests, the cron and the queue, each an event of its own; pack work in place. */
import { env } from 'cloudflare:workers';
import { serve } from 'h3/cloudflare';
import { createApp } from '../src/app.ts';
import { resolveConfig } from '../src/config.ts';
import type { EdgeEvents } from '../src/platform.ts';
import { openCloudflareKv } from '../src/storage/drivers/cloudflare-kv.ts';
import { createMemoryStorage } from '../src/storage/drivers/memory.ts';
import { createKv } from '../src/storage/kv/driver-kv.ts';
import { textOnly, type Bindings, type ExecutionContext, type MessageBatch } from './cloudflare/bindings.ts';
import { openServedBucket } from './cloudflare/open-bucket.ts';
import { sizeBody } from './cloudflare/size-body.ts';
import { warnUnknownSettings } from './unknown-settings.ts';

/** After a task that is to be done again. A claim of an event that was killed is free after a minute. */
const AGAIN_SECONDS = 60;

interface Hotpack {
  readonly server: ReturnType<typeof serve>;
  readonly events: EdgeEvents;
}
let made: Hotpack | undefined;

/** Made with the first event: random numbers and timers are refused before it. */
function hotpack(): Hotpack {
  if (made !== undefined) return made;
  const { config, warnings } = resolveConfig(textOnly(env), { edge: true });
  const log = (line: string): void => console.log(line);
  warnUnknownSettings(warnings, config, log);
  const { BUCKET: bucket, KV: namespace, QUEUE: queue } = env as Bindings;
  const storage = bucket === undefined ? createMemoryStorage() : openServedBucket(bucket, config);
  const kv =
    namespace === undefined ? createKv(storage, { base: 'kv', ownsDriver: false }) : openCloudflareKv(namespace);
  const runtimeFetch: typeof fetch = (input, init) => fetch(input, init);
  const app = createApp(
    {
      kind: 'cloudflare',
      storage,
      kv,
      threads: undefined,
      sharesWork: false,
      sharesStorage: true,
      ...(queue === undefined ? {} : { queue }),
      sizeBody,
      fetch: runtimeFetch,
      now: Date.now,
      log,
    },
    // What memory alone holds is not worth keeping twice.
    bucket === undefined ? { ...config, packCacheBytes: 0 } : config,
  );
  if (app.edge === undefined) throw new Error('an app for Workers takes their events');
  return (made = { server: serve(app.h3, { manual: true }), events: app.edge });
}

const worker: {
  fetch(request: Request, bindings: unknown, context: ExecutionContext): ReturnType<Hotpack['server']['fetch']>;
  scheduled(): Promise<void>;
  queue(batch: MessageBatch): Promise<void>;
} = {
  fetch(request, bindings, context) {
    const { server, events } = hotpack();
    events.requested((work) => context.waitUntil(work));
    return server.fetch(request, bindings, context);
  },
  scheduled: () => hotpack().events.scheduled(),
  async queue({ messages }) {
    for (const message of messages) {
      // oxlint-disable-next-line no-await-in-loop -- each may take what memory there is
      if ((await hotpack().events.performed(message.body)) === 'done') message.ack();
      else message.retry({ delaySeconds: AGAIN_SECONDS });
    }
  },
};
export default worker;
