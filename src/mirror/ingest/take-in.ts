/** From the bytes of a pack to a record of it at rest, wherever the work is done. */
import type { Oid } from '../../bytes/oid.ts';
import type { PackClass, PackRecord } from '../catalog/manifest.ts';
import type { MirrorContext } from '../services.ts';
import type { IngestParams } from '../tasks.ts';
import { newPackName, recordOf, runPackWork } from './pack-work.ts';

/** The new pack, or `undefined` where it held no object. Nothing knows the pack until it is published. */
export async function takeIn(
  context: MirrorContext,
  pack: {
    readonly chunks: AsyncIterable<Uint8Array>;
    readonly existing: readonly string[];
    readonly tips: readonly Oid[];
    readonly class: PackClass;
  },
  signal: AbortSignal,
): Promise<PackRecord | undefined> {
  const { copy, services } = context;
  const task: IngestParams = {
    kind: 'ingest',
    packFolder: copy.keys.packFolder,
    packName: newPackName(),
    existing: pack.existing,
    tips: pack.tips,
    memoryBytes: services.ingestBytes,
  };
  const result = await runPackWork(services, task, pack.chunks, signal);
  return result.kind === 'empty' ? undefined : recordOf(result, { class: pack.class, pushes: 1 });
}
