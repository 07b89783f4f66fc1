/** Blocks in memory, least recently used out first. Memory: `maxBytes`, and some 200 bytes a block. */
import type { Blocks } from './block-cache.ts';

const BLOCK_BYTES = 128 * 1024;

export function createMemoryBlocks(maxBytes: number): Blocks {
  /** The least recently used first. */
  const kept = new Map<string, Uint8Array>();
  let keptBytes = 0;
  const drop = (id: string): void => {
    keptBytes -= kept.get(id)?.length ?? 0;
    kept.delete(id);
  };
  return {
    blockBytes: BLOCK_BYTES,
    get(id) {
      const bytes = kept.get(id);
      if (bytes === undefined) return undefined;
      kept.delete(id);
      kept.set(id, bytes);
      return bytes;
    },
    put(id, bytes) {
      drop(id);
      if (bytes.length > maxBytes) return;
      kept.set(id, bytes);
      keptBytes += bytes.length;
      for (const [oldest] of kept) {
        if (keptBytes <= maxBytes) return;
        drop(oldest);
      }
    },
    async close() {
      kept.clear();
      keptBytes = 0;
    },
  };
}
