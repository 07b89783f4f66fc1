/**
 * The pack of a clone that asked for more than branches and tags becomes two: what they need, in a pack that needs no other, and the
 * rest behind it. So pull requests that somebody mirrors are never in the way of those who clone branches.
 */
import type { Oid } from '../../bytes/oid.ts';
import type { PackRecord } from '../catalog/manifest.ts';
import { removePacks } from '../copy/packs.ts';
import type { MirrorContext } from '../services.ts';
import type { RepackParams } from '../tasks.ts';
import { newPackName, noChunks, recordOf, runPackWork } from './pack-work.ts';

export interface SplitPack {
  readonly branches: PackRecord;
  /** Undefined: branches and tags need all of it. */
  readonly others: PackRecord | undefined;
}

/** `pack` is at rest and nobody knows it; where it was split, and whatever fails, it is gone. */
export async function splitPack(
  { copy, services }: MirrorContext,
  of: { readonly pack: PackRecord; readonly branchTips: readonly Oid[]; readonly otherTips: readonly Oid[] },
  signal: AbortSignal,
): Promise<SplitPack> {
  const { pack, branchTips, otherTips } = of;
  if (otherTips.length === 0) return { branches: pack, others: undefined };
  const { packFolder } = copy.keys;
  const remove = (): Promise<void> => removePacks(services.storage, packFolder, [pack.name]);
  const task: RepackParams = {
    kind: 'repack',
    packFolder,
    sources: [pack],
    closedPacks: 1,
    branchTips,
    otherTips,
    leastShare: 0,
    names: { branches: newPackName(), others: newPackName() },
    memoryBytes: services.ingestBytes,
  };
  try {
    const result = await runPackWork(services, task, noChunks(), signal);
    if (result.kind === 'spared') return { branches: pack, others: undefined };
    const { branches, others } = result;
    const split = {
      branches: recordOf(branches, { class: 'branches', pushes: 1 }),
      others: others && recordOf(others, { class: 'others', pushes: 1 }),
    };
    await remove();
    return split;
  } catch (error) {
    await remove();
    throw error;
  }
}
