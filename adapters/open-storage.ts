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

/** Of a thread that opens a storage. */
export interface ReadingThread {
  /** It serves no sockets, so that it may read files without the runtime's thread pool. Node alone gains by it. */
  readonly readsInPlace?: boolean;
}

export async function openStorage(
  place: StoragePlace,
  { readsInPlace = false }: ReadingThread = {},
): Promise<DriverStorage> {
  switch (place.kind) {
    case 'memory':
      return createMemoryStorage();
    case 'fs':
      return openFsStorage({ folder: place.folder, readsInPlace });
    case 's3': {
      // Loaded where it is used: it brings the XML.
      const { createS3Storage } = await import('../src/storage/drivers/s3.ts');
      return createS3Storage(place.options);
    }
  }
}

/** What is kept of a bucket, in bytes; plain data. */
export interface ReadCaching {
  readonly memoryBytes: number;
  /** `folder` is shared by all who are given the same, each of whom may fill so much of it. */
  readonly disk: { readonly folder: string; readonly maxBytes: number } | undefined;
}

/** Of `HOTPACK_MEMORY_BYTES`, for blocks of a bucket. */
const MEMORY_SHARE = 1 / 16;
const MAX_CACHED_READ_BYTES = 1024 * 1024;

/** For each of `among` threads that read. */
export function readCaching({ blockCache, blockCacheBytes, memoryBytes }: Config, among: number): ReadCaching {
  return {
    memoryBytes: (memoryBytes * MEMORY_SHARE) / among,
    disk: blockCache === '' ? undefined : { folder: resolve(blockCache), maxBytes: blockCacheBytes / among },
  };
}

/** The storage as it is served from: a bucket behind a cache in memory, and behind one on disk where a folder is named. */
export async function openCachedStorage(
  place: StoragePlace,
  caching: ReadCaching,
  thread: ReadingThread = {},
): Promise<DriverStorage> {
  const storage = await openStorage(place, thread);
  if (place.kind !== 's3') return storage;
  const sharesReads = true;
  const disk = caching.disk && (await openDiskBlocks(caching.disk));
  const near =
    disk === undefined
      ? storage
      : withBlockCache(storage, { blocks: disk, maxReadBytes: Number.POSITIVE_INFINITY, sharesReads });
  const memory = createMemoryBlocks(caching.memoryBytes);
  return withBlockCache(near, { blocks: memory, maxReadBytes: MAX_CACHED_READ_BYTES, sharesReads });
}
