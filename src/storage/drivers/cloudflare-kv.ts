/**
 * A namespace of Workers KV, through its binding. What it is like: a read, of what is absent too, may be 60 s old and more; a key
 * takes one write a second; a value holds 25 MiB. Bindings belong to no request: one `Kv` may serve all of an isolate's.
 */
import { HotpackError } from '../../bytes/error.ts';
import type { Kv } from '../kv/contract.ts';
import { createKv } from '../kv/driver-kv.ts';

/** The part of the binding that is used. */
export interface CloudflareKvNamespace {
  get(key: string): Promise<string | null>;
  /** At most 100 keys. Counts as one call. */
  get(keys: string[]): Promise<Map<string, string | null>>;
  put(key: string, value: string): Promise<void>;
  delete(key: string): Promise<void>;
  list(options: { readonly prefix?: string; readonly cursor?: string }): Promise<CloudflareKvPage>;
}

interface CloudflareKvPage {
  readonly keys: readonly { readonly name: string }[];
  readonly list_complete: boolean;
  readonly cursor?: string;
}

const MAX_VALUE_BYTES = 25 * 2 ** 20;

/** `binding` stays the runtime's: there is nothing to close. */
export function openCloudflareKv(binding: CloudflareKvNamespace): Kv {
  return createKv({
    name: 'cloudflare-kv',
    getItem: (key) => binding.get(key),
    async getItems(items) {
      const found = await binding.get(items.map(({ key }) => key));
      return items.map(({ key }) => ({ key, value: found.get(key) ?? null }));
    },
    async setItem(key, value) {
      const { byteLength } = new TextEncoder().encode(value);
      if (byteLength > MAX_VALUE_BYTES) {
        throw new HotpackError('limit_exceeded', 'a value of Workers KV holds 25 MiB', { detail: { key, byteLength } });
      }
      await binding.put(key, value);
    },
    removeItem: (key) => binding.delete(key),
    async getKeys(base) {
      const keys: string[] = [];
      for (let cursor: string | undefined; ;) {
        // oxlint-disable-next-line no-await-in-loop -- a page names the next one
        const page = await binding.list({
          ...(base === '' ? {} : { prefix: `${base}:` }),
          ...(cursor === undefined ? {} : { cursor }),
        });
        for (const { name } of page.keys) keys.push(name);
        if (page.list_complete) return keys;
        cursor = page.cursor;
      }
    },
  });
}
