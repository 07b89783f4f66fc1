/** From the bytes of a pack to a record of it at rest, wherever the work is done. */
import { bytesToHex } from '../../bytes/oid.ts';
import type { Oid } from '../../bytes/oid.ts';
import type { PackRecord } from '../catalog/manifest.ts';
import type { MirrorContext } from '../services.ts';
import { runPackTask } from '../tasks.ts';
import type { IngestParams } from '../tasks.ts';

/** The new pack, or `undefined` where it held no object. Nothing knows the pack until it is published. */
export async function takeIn(
  context: MirrorContext,
  pack: {
    readonly chunks: AsyncIterable<Uint8Array>;
    readonly existing: readonly string[];
    readonly tips: readonly Oid[];
  },
  signal: AbortSignal,
): Promise<PackRecord | undefined> {
  const { copy, services } = context;
  const task: IngestParams = {
    kind: 'ingest',
    packFolder: copy.keys.packFolder,
    packName: `pack-${bytesToHex(crypto.getRandomValues(new Uint8Array(20)))}`,
    existing: pack.existing,
    tips: pack.tips,
    memoryBytes: services.ingestBytes,
  };
  const result =
    services.threads === undefined
      ? await runPackTask(services.storage, task, pack.chunks, signal)
      : await services.threads.run(task, pack.chunks, signal);
  if (result.kind === 'empty') return undefined;
  const { packName: name, checksum, objects, packBytes, tailOffset, tailObjects } = result;
  return { name, checksum, objects, packBytes, tailOffset, tailObjects };
}
