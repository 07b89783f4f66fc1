/**
 * Pack indexes, version 2 (gitformat-pack, "Version 2 pack-*.idx files support packs larger than 4 GiB"): magic,
 * 256 cumulative counts, then per object in the order of names: name, CRC-32 of the entry's raw bytes, offset;
 * offsets of 2^31 and more in a table of 8-byte ones; at the end the pack's checksum and the SHA-1 of the idx.
 * An opened idx works on the file's bytes (28 an object) and keeps nothing besides.
 */
import { HotpackError } from '../../bytes/error.ts';
import type { Oid } from '../../bytes/oid.ts';
import { compareOidBytes, OID_BYTES, oidFromBytes } from '../../bytes/oid.ts';
import { createSha1 } from '../../bytes/sha1.ts';

const MAGIC = 0xff744f63;
const VERSION = 2;
const HEAD_BYTES = 8;
const FANOUT_BYTES = 256 * 4;
const NAMES_AT = HEAD_BYTES + FANOUT_BYTES;
const CHECKSUMS_BYTES = 2 * OID_BYTES;
const FAR = 0x80000000;
const NEAR_OBJECTS = 12;

export interface PackIdx {
  readonly objects: number;
  /** SHA-1 of the pack (its trailer) that this idx belongs to. */
  readonly packChecksum: Oid;
  /** Position (in the order of names) of the 20 bytes at `at` of `table`, or -1. */
  find(table: Uint8Array, at: number): number;
  oidAt(position: number): Oid;
  /** Writes the 20 bytes of the name at `at` of `target`. */
  copyOid(position: number, target: Uint8Array, at: number): void;
  crcAt(position: number): number;
  offsetAt(position: number): number;
  /** First position whose name starts with a byte of at least `byte` (0 to 256). */
  fanout(byte: number): number;
  /** All names, 20 bytes each, in order: a view of the file's bytes. */
  readonly names: Uint8Array;
}

export interface IdxInput {
  /** 20 bytes an entry, in any order. */
  readonly names: Uint8Array;
  readonly crcs: Uint32Array;
  /** Offsets in the pack, by entry. */
  readonly offsets: ArrayLike<number>;
  /** Entries in the order of names (equal names: by offset as git's stable sort leaves them). */
  readonly order: Uint32Array;
  /** The pack's 20-byte trailer. */
  readonly packChecksum: Uint8Array;
}

/** Opens an idx. Checks magic, version, fanout, lengths and 8-byte offset numbers, and with `verifyChecksum` its SHA-1. */
export function parseIdx(file: Uint8Array, options: { readonly verifyChecksum?: boolean } = {}): PackIdx {
  if (file.length < NAMES_AT + CHECKSUMS_BYTES) throw malformedIdx('it is too short');
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (view.getUint32(0) !== MAGIC || view.getUint32(4) !== VERSION) {
    throw malformedIdx('it is not of version 2');
  }
  const counts = new Uint32Array(257);
  for (let byte = 0; byte < 256; byte++) {
    const count = view.getUint32(HEAD_BYTES + 4 * byte);
    if (count < (counts[byte] as number)) throw malformedIdx('its fanout falls');
    counts[byte + 1] = count;
  }
  const objects = counts[256] as number;
  const crcsAt = NAMES_AT + objects * OID_BYTES;
  const offsetsAt = crcsAt + objects * 4;
  const farAt = offsetsAt + objects * 4;
  const checksumsAt = file.length - CHECKSUMS_BYTES;
  if (farAt > checksumsAt) throw malformedIdx('it is too short for its objects');
  const far = (checksumsAt - farAt) / 8;
  if (!Number.isInteger(far) || far > objects) throw malformedIdx('its length fits no object count');
  if (options.verifyChecksum === true) {
    const sha1 = createSha1();
    sha1.update(file.subarray(0, file.length - OID_BYTES));
    if (compareOidBytes(sha1.digest(), 0, file, file.length - OID_BYTES) !== 0) {
      throw malformedIdx('its checksum does not match');
    }
  }

  const check = (position: number): number => {
    if (position >= 0 && position < objects) return position;
    throw new HotpackError('invalid_argument', 'a position beyond the idx', {
      detail: { position, objects },
    });
  };
  return {
    objects,
    packChecksum: oidFromBytes(file, checksumsAt),
    names: file.subarray(NAMES_AT, crcsAt),
    find(table, at) {
      const first = table[at] as number;
      let low = counts[first] as number;
      let high = counts[first + 1] as number;
      // Four bytes at once decide nearly every step; the first one is the same all over the range.
      const sought =
        (((table[at + 1] as number) << 24) |
          ((table[at + 2] as number) << 16) |
          ((table[at + 3] as number) << 8) |
          (table[at + 4] as number)) >>>
        0;
      // Names are hashes, spread evenly: where one must lie is known to within the root of their number. Looking at both ends
      // of that stretch leaves fewer steps; where they do not enclose the name nothing is lost but the look.
      if (high - low > NEAR_OBJECTS * 4) {
        const guess = low + Math.floor((high - low) * sought * 2 ** -32);
        const reach = NEAR_OBJECTS + ((high - low) >>> 5);
        const left = guess - reach;
        const right = guess + reach;
        if (left > low && view.getUint32(NAMES_AT + left * OID_BYTES + 1) < sought) low = left;
        if (right < high && view.getUint32(NAMES_AT + right * OID_BYTES + 1) > sought) high = right;
      }
      while (low < high) {
        const middle = (low + high) >>> 1;
        const nameAt = NAMES_AT + middle * OID_BYTES;
        const key = view.getUint32(nameAt + 1);
        if (key < sought) low = middle + 1;
        else if (key > sought) high = middle;
        else {
          const order = compareOidBytes(file, nameAt, table, at);
          if (order === 0) return middle;
          if (order < 0) low = middle + 1;
          else high = middle;
        }
      }
      return -1;
    },
    oidAt: (position) => oidFromBytes(file, NAMES_AT + check(position) * OID_BYTES),
    copyOid(position, target, at) {
      const from = NAMES_AT + check(position) * OID_BYTES;
      for (let i = 0; i < OID_BYTES; i++) target[at + i] = file[from + i] as number;
    },
    crcAt: (position) => view.getUint32(crcsAt + check(position) * 4),
    offsetAt(position) {
      const near = view.getUint32(offsetsAt + check(position) * 4);
      if (near < FAR) return near;
      const number = near - FAR;
      if (number >= far) throw malformedIdx('an 8-byte offset that is not there');
      const high = view.getUint32(farAt + number * 8);
      if (high >= 0x200000) throw malformedIdx('an offset of 2^53 or more');
      return high * 0x100000000 + view.getUint32(farAt + number * 8 + 4);
    },
    fanout: (byte) => counts[byte] as number,
  };
}

/** The idx file of a pack. */
export function writeIdx(input: IdxInput): Uint8Array {
  const { names, crcs, offsets, order } = input;
  const objects = order.length;
  let far = 0;
  for (let i = 0; i < objects; i++) {
    if ((offsets[i] as number) >= FAR) far++;
  }
  const crcsAt = NAMES_AT + objects * OID_BYTES;
  const offsetsAt = crcsAt + objects * 4;
  const farAt = offsetsAt + objects * 4;
  const checksumsAt = farAt + far * 8;
  const file = new Uint8Array(checksumsAt + CHECKSUMS_BYTES);
  const view = new DataView(file.buffer);
  view.setUint32(0, MAGIC);
  view.setUint32(4, VERSION);
  const counts = new Uint32Array(256);
  let farNext = 0;
  for (let position = 0; position < objects; position++) {
    const entry = order[position] as number;
    const from = entry * OID_BYTES;
    const to = NAMES_AT + position * OID_BYTES;
    for (let i = 0; i < OID_BYTES; i++) file[to + i] = names[from + i] as number;
    (counts[names[from] as number] as number) += 1;
    view.setUint32(crcsAt + position * 4, crcs[entry] as number);
    const offset = offsets[entry] as number;
    if (offset < FAR) {
      view.setUint32(offsetsAt + position * 4, offset);
    } else {
      view.setUint32(offsetsAt + position * 4, FAR + farNext);
      view.setUint32(farAt + farNext * 8, Math.floor(offset / 0x100000000));
      view.setUint32(farAt + farNext * 8 + 4, offset % 0x100000000);
      farNext++;
    }
  }
  let total = 0;
  for (let byte = 0; byte < 256; byte++) {
    total += counts[byte] as number;
    view.setUint32(HEAD_BYTES + 4 * byte, total);
  }
  file.set(input.packChecksum, checksumsAt);
  const sha1 = createSha1();
  sha1.update(file.subarray(0, checksumsAt + OID_BYTES));
  file.set(sha1.digest(), checksumsAt + OID_BYTES);
  return file;
}

function malformedIdx(what: string): HotpackError {
  return new HotpackError('malformed_pack', `malformed idx: ${what}`);
}
