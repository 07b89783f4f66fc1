/** The storage that the settings name, where there is a disk: on Node and Deno, and in Node's pack threads. */
import { resolve } from 'node:path';
import type { Config } from '../src/config.ts';
import { withBlockCache } from '../src/storage/caching/block-cache.ts';
import { createMemoryBlocks } from '../src/storage/caching/memory-blocks.ts';
import { openDiskBlocks } from '../src/storage/drivers/disk-blocks.ts';
import { openFsStorage } from '../src/storage/drivers/fs.ts';
import { createMemoryStorage } from '../src/storage/drivers/memory.ts';
import type { S3Options } from '../src/storage/drivers/s3/client.ts';
import type { DriverStorage } from '../src/storage/drivers/unstorage-driver.ts';

/** Plain data, so that a thread can open the same; memory is not shared. */
export type StoragePlace =
  | { readonly kind: 'fs'; readonly folder: string }
  | { readonly kind: 's3'; readonly options: S3Options }
  | { readonly kind: 'memory' };

export function storagePlace(config: Config): StoragePlace {
  const spec = config.storage;
  switch (spec.kind) {
    case 'memory':
      return spec;
    case 'fs':
      return { kind: 'fs', folder: resolve(spec.folder) };
    case 's3':
      return {
        kind: 's3',
        options: {
          bucket: spec.bucket,
          prefix: spec.prefix,
          region: config.s3Region,
          endpoint: config.s3Endpoint === '' ? undefined : config.s3Endpoint,
          accessKeyId: config.s3AccessKeyId,
          secretAccessKey: config.s3SecretAccessKey,
          sessionToken: config.s3SessionToken === '' ? undefined : config.s3SessionToken,
        },
      };
  }
}

export async function openStorage(place: StoragePlace): Promise<DriverStorage> {
  switch (place.kind) {
    case 'memory':
      return createMemoryStorage();
    case 'fs':
      return openFsStorage({ folder: place.folder });
    case 's3': {
      // Loaded where it is used: it brings the XML.
      const { createS3Storage } = await import('../src/storage/drivers/s3.ts');
      return createS3Storage(place.options);
    }
  }
}

/** Of `HOTPACK_MEMORY_BYTES`, for blocks of a bucket. */
const MEMORY_SHARE = 1 / 16;
const MAX_CACHED_READ_BYTES = 1024 * 1024;

/** The storage as it is served from: a bucket behind a cache in memory, and behind one on disk where a folder is named. */
export async function openServedStorage(place: StoragePlace, config: Config): Promise<DriverStorage> {
  const storage = await openStorage(place);
  if (place.kind !== 's3') return storage;
  const sharesReads = true;
  const { blockCache, blockCacheBytes: maxBytes, memoryBytes } = config;
  const disk = blockCache === '' ? undefined : await openDiskBlocks({ folder: resolve(blockCache), maxBytes });
  const near =
    disk === undefined
      ? storage
      : withBlockCache(storage, { blocks: disk, maxReadBytes: Number.POSITIVE_INFINITY, sharesReads });
  const memory = createMemoryBlocks(memoryBytes * MEMORY_SHARE);
  return withBlockCache(near, { blocks: memory, maxReadBytes: MAX_CACHED_READ_BYTES, sharesReads });
}
