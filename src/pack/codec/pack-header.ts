/**
 * A pack's first 12 bytes and its last 20 (gitformat-pack): `PACK`, version 2 or 3, number of entries, big-endian;
 * at the end the SHA-1 of everything before it.
 */
import { HotpackError } from '../../bytes/error.ts';

export const PACK_HEADER_BYTES = 12;
export const PACK_TRAILER_BYTES = 20;
const SIGNATURE = 0x5041434b;

/** The number of entries that the header declares (up to 2^32 - 1, unproven). `input` holds at least 12 bytes at `at`. */
export function parsePackHeader(input: Uint8Array, at = 0): { readonly objects: number } {
  const view = new DataView(input.buffer, input.byteOffset + at, PACK_HEADER_BYTES);
  if (view.getUint32(0) !== SIGNATURE) {
    throw new HotpackError('malformed_pack', 'it does not begin with PACK');
  }
  const version = view.getUint32(4);
  if (version !== 2 && version !== 3) {
    throw new HotpackError('malformed_pack', `pack version ${version} instead of 2 or 3`);
  }
  return { objects: view.getUint32(8) };
}

export function writePackHeader(objects: number): Uint8Array {
  if (!Number.isInteger(objects) || objects < 0 || objects > 0xffffffff) {
    throw new HotpackError('invalid_argument', 'a pack holds 0 to 2^32 - 1 entries', {
      detail: { objects },
    });
  }
  const header = new Uint8Array(PACK_HEADER_BYTES);
  const view = new DataView(header.buffer);
  view.setUint32(0, SIGNATURE);
  view.setUint32(4, 2);
  view.setUint32(8, objects);
  return header;
}
