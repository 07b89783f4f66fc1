/**
 * Gives a mirror its bitmap: beside the pack of class `branches` with the most objects, made in the pack threads, of what the mirror's refs name.
 * It is made once for each such pack; what comes in newer packs is walked, until packs are merged.
 *
 * git takes one bitmap a repository: those of other packs are removed. Whatever fails or is cut off leaves a mirror without a
 * bitmap, or one whose pack nobody uses any more: both are as good as before.
 */
import { isHotpackError } from '../../../bytes/error.ts';
import type { Oid } from '../../../bytes/oid.ts';
import { bitmappedPack } from '../../../pack/bitmap/load-bitmaps.ts';
import type { RefsSnapshot } from '../../../protocol/refs-snapshot.ts';
import { ofBranches } from '../../catalog/manifest.ts';
import { packKeys } from '../../keys.ts';
import { noChunks, runPackWork } from '../../ingest/pack-work.ts';
import { limitReads } from '../../edge/limit-reads.ts';
import type { MirrorContext } from '../../services.ts';
import type { BitmapParams, BitmapResult } from '../../tasks.ts';

/**
 * `open`: the pack lacks something that its commits refer to. `nothing`: no ref leads into it, or there is no pack. `too_many_reads`: see
 * `MirrorServices.bitmapReads`.
 */
export type BitmapOutcome = 'written' | 'present' | 'open' | 'nothing' | 'too_many_reads';

export async function writeBitmap(context: MirrorContext, signal: AbortSignal): Promise<BitmapOutcome> {
  const { copy, services } = context;
  const { storage } = services;
  const snapshot = await copy.snapshot(signal);
  if (snapshot === undefined) return 'nothing';
  try {
    const { packs, garbage } = snapshot.manifest;
    const base = packs[bitmappedPack(ofBranches(packs))];
    if (base === undefined) return 'nothing';
    const bitmapOf = (packName: string): string => packKeys(copy.keys.packFolder, packName).bitmap;
    // Looked for anew, since another process may have made it; one that is damaged is as good as none.
    if (await snapshot.work.ask({ kind: 'bitmapped' }, signal)) return 'present';
    const task: BitmapParams = {
      kind: 'bitmap',
      packFolder: copy.keys.packFolder,
      packName: base.name,
      packChecksum: base.checksum,
      tips: tipsOf(snapshot.held),
      memoryBytes: services.ingestBytes,
    };
    const result = await build(services, task, signal);
    if (result === 'too_many_reads') return result;
    if (result.kind !== 'built') return result.kind;
    const others = [...packs, ...garbage].filter((pack) => pack.name !== base.name);
    await storage.delete(
      others.map((pack) => bitmapOf(pack.name)),
      signal,
    );
    // Packs may have been opened anew meanwhile, and looked for the file in vain.
    const current = await copy.snapshot(signal);
    current?.work.forgetBitmap();
    current?.release();
    return 'written';
  } finally {
    snapshot.release();
  }
}

async function build(
  services: MirrorContext['services'],
  task: BitmapParams,
  signal: AbortSignal,
): Promise<BitmapResult | 'too_many_reads'> {
  const { bitmapReads, storage, threads } = services;
  if (bitmapReads === undefined) return runPackWork(services, task, noChunks(), signal);
  try {
    const limited = { threads, storage: limitReads(storage, bitmapReads.max) };
    return await runPackWork(limited, task, noChunks(), signal);
  } catch (error) {
    if (!isHotpackError(error, 'limit_exceeded')) throw error;
    bitmapReads.tooMany.set(task.packName, true);
    return 'too_many_reads';
  }
}

/** The most important first: HEAD, branches, tags from the last name on, whatever else is held. */
function tipsOf({ head, refs }: RefsSnapshot): Oid[] {
  const tips = new Set<Oid>();
  if (head.kind === 'symref' || head.kind === 'detached') tips.add(head.oid);
  const named = (prefix: string): Oid[] =>
    refs.filter((ref) => ref.name.startsWith(prefix)).map((ref) => ref.peeled ?? ref.oid);
  for (const oid of named('refs/heads/')) tips.add(oid);
  for (const oid of named('refs/tags/').toReversed()) tips.add(oid);
  for (const oid of named('refs/')) tips.add(oid);
  return [...tips];
}
