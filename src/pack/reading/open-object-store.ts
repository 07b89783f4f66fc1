import type { ObjectStore } from '../object-store.ts';
import type { PackedObjects, PackSource } from './packed-objects.ts';
import type { ReadCounters } from './read-counters.ts';

export interface ObjectStoreOptions {
  readonly packs: readonly PackSource[];
  /** Bytes that cached blocks and cached contents may hold together. */
  readonly cacheBytes: number;
  /** Largest content held in memory as one object; default 64 MiB. Above it `read` rejects with `limit_exceeded`. */
  readonly maxObjectBytes?: number;
  readonly counters?: ReadCounters;
}

/** Opens the packs of one manifest. Throws `malformed_pack` where idx or rev break their format. */
export function openObjectStore(options: ObjectStoreOptions): ObjectStore & PackedObjects {
  throw new Error(`in the making: ${options.packs.length}`);
}
