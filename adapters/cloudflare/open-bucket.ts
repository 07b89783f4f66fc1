/** The bucket as it is served from: behind blocks in the memory of the isolate. */
import type { Config } from '../../src/config.ts';
import { withBlockCache } from '../../src/storage/caching/block-cache.ts';
import { createMemoryBlocks } from '../../src/storage/caching/memory-blocks.ts';
import { createR2Storage } from '../../src/storage/drivers/r2.ts';
import type { R2Bucket } from '../../src/storage/drivers/r2/binding.ts';
import type { DriverStorage } from '../../src/storage/drivers/unstorage-driver.ts';

/** Of `HOTPACK_MEMORY_BYTES`. */
const MEMORY_SHARE = 1 / 8;
const MAX_CACHED_READ_BYTES = 1024 * 1024;

export function openServedBucket(bucket: R2Bucket, { memoryBytes }: Pick<Config, 'memoryBytes'>): DriverStorage {
  return withBlockCache(createR2Storage(bucket), {
    blocks: createMemoryBlocks(memoryBytes * MEMORY_SHARE),
    maxReadBytes: MAX_CACHED_READ_BYTES,
    sharesReads: false,
  });
}
