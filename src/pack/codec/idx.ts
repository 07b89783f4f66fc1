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
import { readUint32s } from '../../bytes/uint32s.ts';

const MAGIC = 0xff744f63;
const VERSION = 2;
const HEAD_BYTES = 8;
const FANOUT_BYTES = 256 * 4;
const NAMES_AT = HEAD_BYTES + FANOUT_BYTES;
const CHECKSUMS_BYTES = 2 * OID_BYTES;
const FAR = 0x80000000;
const NEAR_OBJECTS = 12;
const PIECE_BYTES = 64 * 1024;

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
  /**
   * All offsets, in the order of names: 4 bytes each, 8 where the idx has offsets of 2^31 and more. Where it has none they come as they
   * are stored, in one copy: whoever takes them holds the largest against `offsetsEnd`.
   */
  offsets(): Uint32Array | Float64Array;
  /** Every offset of a sound idx is below. */
  readonly offsetsEnd: number;
  /** First position whose name starts with a byte of at least `byte` (0 to 256). */
  fanout(byte: number): number;
  /** All names, 20 bytes each, in order: a view of the file's bytes. */
  readonly names: Uint8Array;
}

export interface IdxInput extends Omit<IdxEntries, 'copyName'> {
  /** 20 bytes an entry, in any order. */
  readonly names: Uint8Array;
}

/** What an idx says of its entries, which have numbers in any order. */
export interface IdxEntries {
  /** Writes the 20 bytes of an entry's name at `at` of `target`. */
  readonly copyName: (entry: number, target: Uint8Array, at: number) => void;
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
  const offsetAt = (position: number): number => {
    const near = view.getUint32(offsetsAt + check(position) * 4);
    if (near < FAR) return near;
    const number = near - FAR;
    if (number >= far) throw malformedIdx('an 8-byte offset that is not there');
    const high = view.getUint32(farAt + number * 8);
    if (high >= 0x200000) throw malformedIdx('an offset of 2^53 or more');
    return high * 0x100000000 + view.getUint32(farAt + number * 8 + 4);
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
    offsetAt,
    offsets() {
      if (far === 0) return readUint32s(file, offsetsAt, objects);
      return Float64Array.from({ length: objects }, (_, position) => offsetAt(position));
    },
    offsetsEnd: far === 0 ? FAR : 2 ** 53,
    fanout: (byte) => counts[byte] as number,
  };
}

/** The idx file of a pack. */
export function writeIdx(input: IdxInput): Uint8Array {
  const { names, order, offsets } = input;
  let far = 0;
  for (let i = 0; i < order.length; i++) {
    if ((offsets[i] as number) >= FAR) far++;
  }
  const file = new Uint8Array(NAMES_AT + order.length * (OID_BYTES + 8) + far * 8 + CHECKSUMS_BYTES);
  const copyName = (entry: number, target: Uint8Array, at: number): void => {
    for (let i = 0, from = entry * OID_BYTES; i < OID_BYTES; i++) target[at + i] = names[from + i] as number;
  };
  let filled = 0;
  for (const piece of idxPieces({ ...input, copyName })) {
    file.set(piece, filled);
    filled += piece.length;
  }
  return file;
}

/** The same file in pieces of at most 64 KiB, from names that lie wherever `copyName` takes them from. */
export function* idxPieces(input: IdxEntries): Generator<Uint8Array, void, undefined> {
  const { order } = input;
  const sha1 = createSha1();
  for (const piece of unsealedPieces(input)) {
    sha1.update(piece);
    yield piece;
  }
  sha1.update(input.packChecksum);
  const end = new Uint8Array(CHECKSUMS_BYTES);
  end.set(input.packChecksum);
  end.set(sha1.digest(), OID_BYTES);
  yield end;

  function* unsealedPieces({ copyName, crcs, offsets }: IdxEntries): Generator<Uint8Array, void, undefined> {
    yield headOf(input);
    yield* columnPieces(order.length, OID_BYTES, (position, { bytes }, at) =>
      copyName(order[position] as number, bytes, at),
    );
    yield* columnPieces(order.length, 4, (position, { view }, at) =>
      view.setUint32(at, crcs[order[position] as number] as number),
    );
    const far: number[] = [];
    yield* columnPieces(order.length, 4, (position, { view }, at) => {
      const offset = offsets[order[position] as number] as number;
      view.setUint32(at, offset < FAR ? offset : FAR + far.push(offset) - 1);
    });
    yield* columnPieces(far.length, 8, (number, { view }, at) => {
      const offset = far[number] as number;
      view.setUint32(at, Math.floor(offset / 0x100000000));
      view.setUint32(at + 4, offset % 0x100000000);
    });
  }
}

/** Magic, version and fanout. */
function headOf({ order, copyName }: IdxEntries): Uint8Array {
  const counts = new Uint32Array(256);
  const name = new Uint8Array(OID_BYTES);
  for (let position = 0; position < order.length; position++) {
    copyName(order[position] as number, name, 0);
    (counts[name[0] as number] as number) += 1;
  }
  const head = new Uint8Array(NAMES_AT);
  const view = new DataView(head.buffer);
  view.setUint32(0, MAGIC);
  view.setUint32(4, VERSION);
  let total = 0;
  for (let byte = 0; byte < 256; byte++) {
    total += counts[byte] as number;
    view.setUint32(HEAD_BYTES + 4 * byte, total);
  }
  return head;
}

function* columnPieces(
  rows: number,
  width: number,
  write: (row: number, piece: { readonly bytes: Uint8Array; readonly view: DataView }, at: number) => void,
): Generator<Uint8Array, void, undefined> {
  const most = Math.floor(PIECE_BYTES / width);
  for (let first = 0; first < rows; first += most) {
    const last = Math.min(rows, first + most);
    const bytes = new Uint8Array((last - first) * width);
    const piece = { bytes, view: new DataView(bytes.buffer) };
    for (let row = first; row < last; row++) write(row, piece, (row - first) * width);
    yield bytes;
  }
}

function malformedIdx(what: string): HotpackError {
  return new HotpackError('malformed_pack', `malformed idx: ${what}`);
}
