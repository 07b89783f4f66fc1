/**
 * Streams whole packs as one: a header, stored entries as they lie, a trailer. A single pack without a tail is its own file,
 * byte for byte. Of several the trailer is worked out the first time and kept with the set.
 *
 * Memory: two windows.
 */
import { forOneTaker } from '../../bytes/give-back.ts';
import { concatBytes } from '../../bytes/streams.ts';
import { createSha1 } from '../../bytes/sha1.ts';
import type { ObjectStore } from '../object-store.ts';
import { PACK_HEADER_BYTES, PACK_TRAILER_BYTES, writePackHeader } from '../codec/pack-header.ts';
import type { PackedObjects } from '../reading/packed-objects.ts';
import type { PackCounters } from './pack-query.ts';
import { cutWindows } from './pack-windows.ts';
import { readAhead } from './read-ahead.ts';
import type { WholeSet } from './whole-set.ts';

/** Header, entries and trailer in chunks of up to a window. */
export async function* streamWholeSet(
  store: ObjectStore & PackedObjects,
  set: WholeSet,
  options: { readonly signal: AbortSignal; readonly counters: PackCounters },
): AsyncGenerator<Uint8Array, void, undefined> {
  const { signal, counters } = options;
  const copy = async function* (pack: number, from: number, to: number): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const { bytes } of readAhead(store, pack, cutWindows(from, to), signal)) {
      counters.bytesCopied += bytes.length;
      counters.bytesWritten += bytes.length;
      yield bytes;
    }
  };
  counters.objects += set.objects.length;
  counters.reused += set.objects.length;
  const [only] = set.packs;
  if (set.packs.length === 1 && only !== undefined && only.entries === store.objectsIn(only.pack)) {
    yield* copy(only.pack, 0, store.packBytes(only.pack));
    return;
  }
  const sha1 = set.checksum === undefined ? createSha1() : undefined;
  const header = writePackHeader(set.objects.length);
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
  if (sha1 !== undefined) {
    set.checksum = sha1.digest();
    counters.bytesHashed += PACK_HEADER_BYTES;
  }
  counters.bytesWritten += PACK_HEADER_BYTES + PACK_TRAILER_BYTES;
  // Whoever is handed a chunk owns it.
  if (set.checksum !== undefined) yield set.checksum.slice();
}
