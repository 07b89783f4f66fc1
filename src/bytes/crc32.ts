/** CRC-32 (IEEE) as a pack's idx holds it: over an entry's bytes as they lie in the pack, header included. */
import { crc32 as zlibCrc32 } from 'node:zlib';

/** The CRC of `bytes`, or with `seed` (the CRC of what came before) of both together. Unsigned 32 bits. */
export function crc32(bytes: Uint8Array, seed = 0): number {
  return zlibCrc32(bytes, seed);
}
