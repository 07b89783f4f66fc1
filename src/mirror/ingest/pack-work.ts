/** Pack work in the platform's threads, or in place where there are none; names for what it makes, and the record of it. */
import { bytesToHex } from '../../bytes/oid.ts';
import type { PackRecord } from '../catalog/manifest.ts';
import type { MirrorServices } from '../services.ts';
import type { PackTask, PackTaskResult, WrittenPack } from '../tasks.ts';
import { runPackTask } from '../tasks.ts';

export function runPackWork<T extends PackTask>(
  services: Pick<MirrorServices, 'storage' | 'threads'>,
  task: T,
  chunks: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<PackTaskResult<T>> {
  return services.threads === undefined
    ? runPackTask(services.storage, task, chunks, signal)
    : services.threads.run(task, chunks, signal);
}

/** Of work that takes none. */
export async function* noChunks(): AsyncGenerator<Uint8Array, void, undefined> {}

/** Unique for ever. */
export function newPackName(): string {
  return `pack-${bytesToHex(crypto.getRandomValues(new Uint8Array(20)))}`;
}

export function recordOf(written: WrittenPack, of: Pick<PackRecord, 'class' | 'pushes'>): PackRecord {
  const { packName: name, checksum, objects, packBytes, tailOffset, tailObjects } = written;
  return { name, checksum, objects, packBytes, tailOffset, tailObjects, class: of.class, pushes: of.pushes };
}
