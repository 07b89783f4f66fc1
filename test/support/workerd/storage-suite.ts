/** The storage contract over an R2 binding, inside workerd. `GET /` names the cases, `GET /N` runs one in a request of its own. */
import { env } from 'cloudflare:workers';
import { createR2Storage } from '../../../src/storage/drivers/r2.ts';
import type { R2Bucket } from '../../../src/storage/drivers/r2/binding.ts';
import { describeStorageContract } from '../storage-contract.ts';
import { caseNames, runCase } from './vitest-inside.ts';

const bucket = env['BUCKET'] as R2Bucket;

async function allKeys(): Promise<string[]> {
  const keys: string[] = [];
  for (let cursor: string | undefined; ;) {
    const page = await bucket.list(cursor === undefined ? {} : { cursor });
    keys.push(...page.objects.map((object) => object.key));
    if (!page.truncated || page.cursor === undefined) return keys;
    cursor = page.cursor;
  }
}

describeStorageContract('R2 in workerd', async () => {
  const storage = createR2Storage(bucket);
  return {
    storage,
    survivesDeletion: false,
    isSlow: true,
    openSecond: async () => createR2Storage(bucket),
    countTraces: async () => (await allKeys()).length,
    destroy: async () => {
      await storage.close();
      const keys = await allKeys();
      for (let at = 0; at < keys.length; at += 1000) await bucket.delete(keys.slice(at, at + 1000));
    },
  };
});

export default {
  async fetch(request: Request): Promise<Response> {
    const path = new URL(request.url).pathname.slice(1);
    if (path === '') return Response.json(caseNames());
    try {
      await runCase(Number(path));
      return new Response('passed');
    } catch (error) {
      return new Response(error instanceof Error ? (error.stack ?? error.message) : String(error), { status: 500 });
    }
  },
};
