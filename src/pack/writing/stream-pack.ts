import type { ObjectStore } from '../object-store.ts';
import type { PackedObjects } from '../reading/packed-objects.ts';
import type { PackOptions, PackQuery } from './pack-query.ts';

/** The pack of `query.objects` (header, entries in pack order, trailer) in chunks of up to 1 MiB, made as they are pulled. */
export async function* streamPack(
  store: ObjectStore & PackedObjects,
  query: PackQuery,
  options: PackOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  throw new Error(`in the making: ${query.objects.length} ${store.objectCount} ${String(options.signal.aborted)}`);
}
