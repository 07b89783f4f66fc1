/** The key-value store that a setting names, where there is a disk and there are sockets. */
import type { KvSpec } from '../src/setting-values.ts';
import { openDenoKv } from '../src/storage/drivers/deno-kv.ts';
import { openFsStorage } from '../src/storage/drivers/fs.ts';
import { createMemoryStorage } from '../src/storage/drivers/memory.ts';
import type { DriverStorage } from '../src/storage/drivers/unstorage-driver.ts';
import type { Kv } from '../src/storage/kv/contract.ts';
import { createKv } from '../src/storage/kv/driver-kv.ts';
import { runtime } from './deno/runtime.ts';

/** `store` gives the storage for what is kept inside it; it stays the caller's to close. */
export async function openKv(spec: KvSpec, store: () => Promise<DriverStorage>): Promise<Kv> {
  switch (spec.kind) {
    case 'store':
      return createKv(await store(), { base: 'kv', ownsDriver: false });
    case 'memory':
      return createKv(createMemoryStorage());
    case 'fs':
      return createKv(await openFsStorage({ folder: spec.folder }));
    case 'deno': {
      // The settings are taken only where it is there.
      if (runtime?.openKv === undefined) throw new Error('this is not Deno, or it has no key-value store');
      return openDenoKv(await runtime.openKv(spec.path));
    }
    case 'redis': {
      // Loaded where it is used: it brings a client of its own.
      const { openRedisKv } = await import('../src/storage/drivers/redis-kv.ts');
      return openRedisKv(spec.url);
    }
  }
}
