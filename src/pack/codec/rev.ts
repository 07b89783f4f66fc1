/**
 * Reverse indexes (gitformat-pack, "pack-*.rev files have the format"): `RIDX`, version 1, hash 1 (SHA-1), then for
 * each entry in the order of the pack its position in the idx, the pack's checksum, the SHA-1 of the rev file.
 */
import { HotpackError } from '../../bytes/error.ts';
import type { Oid } from '../../bytes/oid.ts';
import { compareOidBytes, OID_BYTES, oidFromBytes } from '../../bytes/oid.ts';
import { createSha1 } from '../../bytes/sha1.ts';
import { readUint32s } from '../../bytes/uint32s.ts';

const MAGIC = 0x52494458;
const HEAD_BYTES = 12;
const CHECKSUMS_BYTES = 2 * OID_BYTES;

export interface PackRev {
  readonly objects: number;
  readonly packChecksum: Oid;
  /** Position in the idx of each entry, in the order of the pack. Every position is below `objects`, unless that was left to the caller. */
  readonly positions: Uint32Array;
}

export interface RevOptions {
  readonly verifyChecksum?: boolean;
  /** The caller goes over all positions anyway, and finds those beyond the idx there. */
  readonly leavesRange?: boolean;
}

/** Opens a rev file of a pack with `objects` entries: 4 bytes an object. */
export function parseRev(file: Uint8Array, objects: number, options: RevOptions = {}): PackRev {
  if (file.length !== HEAD_BYTES + objects * 4 + CHECKSUMS_BYTES) {
    throw malformedRev('its length does not fit the number of objects');
  }
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (view.getUint32(0) !== MAGIC || view.getUint32(4) !== 1 || view.getUint32(8) !== 1) {
    throw malformedRev('it is not of version 1 with SHA-1');
  }
  const positions = readUint32s(file, HEAD_BYTES, objects);
  if (options.leavesRange !== true && positions.some((position) => position >= objects)) {
    throw malformedRev('a position beyond its idx');
  }
  if (options.verifyChecksum === true) {
    const sha1 = createSha1();
    sha1.update(file.subarray(0, file.length - OID_BYTES));
    if (compareOidBytes(sha1.digest(), 0, file, file.length - OID_BYTES) !== 0) {
      throw malformedRev('its checksum does not match');
    }
  }
  return { objects, packChecksum: oidFromBytes(file, file.length - CHECKSUMS_BYTES), positions };
}

/** `positions`: idx position of each entry in the order of the pack; `packChecksum`: the pack's 20-byte trailer. */
export function writeRev(positions: Uint32Array, packChecksum: Uint8Array): Uint8Array {
  const checksumsAt = HEAD_BYTES + positions.length * 4;
  const file = new Uint8Array(checksumsAt + CHECKSUMS_BYTES);
  const view = new DataView(file.buffer);
  view.setUint32(0, MAGIC);
  view.setUint32(4, 1);
  view.setUint32(8, 1);
  for (let i = 0; i < positions.length; i++) {
    view.setUint32(HEAD_BYTES + i * 4, positions[i] as number);
  }
  file.set(packChecksum, checksumsAt);
  const sha1 = createSha1();
  sha1.update(file.subarray(0, checksumsAt + OID_BYTES));
  file.set(sha1.digest(), checksumsAt + OID_BYTES);
  return file;
}

function malformedRev(what: string): HotpackError {
  return new HotpackError('malformed_pack', `malformed rev: ${what}`);
}
