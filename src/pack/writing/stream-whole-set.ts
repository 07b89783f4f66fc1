/**
 * Streams whole packs as one: a header, stored entries as they lie, a trailer. A single pack without a tail is its own file,
 * byte for byte. Of several the trailer is worked out where the set does not have it.
 *
 * Memory: two windows.
 */
import { forOneTaker } from '../../bytes/give-back.ts';
import { concatBytes } from '../../bytes/streams.ts';
import { createSha1, type Sha1 } from '../../bytes/sha1.ts';
import type { ObjectStore } from '../object-store.ts';
import { PACK_HEADER_BYTES, PACK_TRAILER_BYTES, writePackHeader } from '../codec/pack-header.ts';
import type { PackedObjects } from '../reading/packed-objects.ts';
import { createPackCounters, type PackCounters } from './pack-query.ts';
import { cutWindows } from './windows/pack-windows.ts';
import { readAhead } from './windows/read-ahead.ts';
import type { WholeSet } from './whole-set.ts';

/** Header, entries and trailer in chunks of up to a window. Returns the set with its checksum. */
export async function* streamWholeSet(
  store: ObjectStore & PackedObjects,
  set: WholeSet,
  options: { readonly signal: AbortSignal; readonly counters?: PackCounters },
): AsyncGenerator<Uint8Array, WholeSet, undefined> {
  const { signal, counters = createPackCounters() } = options;
  const copy = async function* (pack: number, from: number, to: number): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const { bytes } of readAhead(store, pack, cutWindows(from, to), { signal })) {
      counters.bytesCopied += bytes.length;
      counters.bytesWritten += bytes.length;
      yield bytes;
    }
  };
  counters.objects += set.objects;
  counters.reused += set.objects;
  const [only] = set.packs;
  if (set.packs.length === 1 && only !== undefined && only.entries === store.objectsIn(only.pack)) {
    yield* copy(only.pack, 0, store.packBytes(only.pack));
    return set;
  }
  const sha1 = set.checksum === undefined ? createSha1() : undefined;
  const header = writePackHeader(set.objects);
  sha1?.update(header);
  let head: Uint8Array | undefined = header;
  for (const { pack, end } of set.packs) {
    for await (const bytes of copy(pack, PACK_HEADER_BYTES, end)) {
      if (sha1 !== undefined) {
        sha1.update(bytes);
        counters.bytesHashed += bytes.length;
      }
      yield head === undefined ? bytes : forOneTaker(concatBytes([head, bytes]));
      head = undefined;
    }
  }
  if (sha1 !== undefined) counters.bytesHashed += PACK_HEADER_BYTES;
  counters.bytesWritten += PACK_HEADER_BYTES + PACK_TRAILER_BYTES;
  const checksum = set.checksum ?? (sha1 as Sha1).digest();
  // Whoever is handed a chunk owns it.
  yield checksum.slice();
  return { ...set, checksum };
}
