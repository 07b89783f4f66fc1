/**
 * Several packs at rest become one more pack at rest, under a name no manifest knows yet; the sources stay. Whatever fails
 * leaves nothing behind, and what a killed process leaves is an orphan like any other.
 */
import { throwIfAborted } from '../../bytes/abort.ts';
import { mergePacks } from '../../pack/merging/merge-packs.ts';
import type { Storage } from '../../storage/contract.ts';
import { packKeys } from '../keys.ts';
import { openPackSources } from '../packs.ts';
import type { MergeParams, WrittenPack } from '../tasks.ts';

export async function mergeAtRest(storage: Storage, params: MergeParams, signal: AbortSignal): Promise<WrittenPack> {
  const { packFolder, packName, keepsTail } = params;
  const keys = packKeys(packFolder, packName);
  const names = params.sources.map((source) => source.name);
  const { sources, close } = await openPackSources(storage, { folder: packFolder, names }, signal);
  try {
    const writer = await storage.openWriter(keys.pack, signal);
    try {
      const merged = await mergePacks({
        sources: sources.map((source, n) => ({ ...source, tailOffset: params.sources[n]?.tailOffset as number })),
        keepsTail,
        writer,
        signal,
      });
      await writer.commit();
      await storage.put(keys.rev, merged.rev, signal);
      await writePieces(storage, keys.idx, merged.idx, signal);
      const { checksum, objects, packBytes, tailOffset, tailObjects } = merged;
      return { kind: 'written', packName, checksum, objects, packBytes, tailOffset, tailObjects };
    } catch (error) {
      await writer.abort();
      await storage.delete([keys.idx, keys.rev, keys.pack]);
      throw error;
    }
  } finally {
    await close();
  }
}

async function writePieces(
  storage: Storage,
  key: string,
  pieces: Iterable<Uint8Array>,
  signal: AbortSignal,
): Promise<void> {
  const writer = await storage.openWriter(key, signal);
  try {
    for (const piece of pieces) {
      throwIfAborted(signal);
      await writer.write(piece);
    }
    await writer.commit();
  } catch (error) {
    await writer.abort();
    throw error;
  }
}
