/**
 * Several packs at rest become one more pack at rest; the sources stay. Whatever fails leaves nothing behind, and what a killed
 * process leaves is an orphan like any other.
 */
import { mergePacks } from '../../../pack/merging/merge-packs.ts';
import type { Storage } from '../../../storage/contract.ts';
import { openPackSources, putPack } from '../../copy/packs.ts';
import type { MergeParams, WrittenPack } from '../../tasks.ts';

export async function mergeAtRest(storage: Storage, params: MergeParams, signal: AbortSignal): Promise<WrittenPack> {
  const { packFolder, keepsTail } = params;
  const names = params.sources.map((source) => source.name);
  const tailOffsets = params.sources.map((source) => source.tailOffset);
  const { sources, close } = await openPackSources(storage, { folder: packFolder, names }, signal);
  try {
    const objects = { kind: 'all', tailOffsets, keepsTail } as const;
    return await putPack(storage, params, (writer) => mergePacks({ sources, objects, writer, signal }), signal);
  } finally {
    await close();
  }
}
