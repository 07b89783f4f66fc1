/**
 * The `.bitmap` file of one pack, version 1 (bitmap-format): a head with the pack's checksum, four sets that say which objects
 * are commits, trees, blobs and tags, then for some commits the set of all that they reach, and the SHA-1 of the file.
 *
 * Bit n of a set is the n-th object in the order of the pack. A commit is named by its place in the idx. A commit's set
 * may be stored as what differs from that of an earlier entry. git's extensions (a cache of name hashes, a table of
 * the entries) stand behind the entries: they are known and passed over, and not written.
 */
import { HotpackError } from '../../bytes/error.ts';
import { compareOidBytes, OID_BYTES, type Oid, oidFromBytes, writeOidBytes } from '../../bytes/oid.ts';
import { sha1Of } from '../../bytes/sha1.ts';
import { type Ewah, parseEwah } from './ewah.ts';

const MAGIC = 0x4249544d;
const VERSION = 1;
/** Every object that a bitmap names lies in the pack. */
const FULL_DAG = 0x1;
const HASH_CACHE = 0x4;
const LOOKUP_TABLE = 0x10;
const HASH_BYTES = 4;
const ROW_BYTES = 16;
const HEAD_BYTES = 12 + OID_BYTES;
const ENTRY_HEAD_BYTES = 6;
const SMALLEST_ENTRY_BYTES = ENTRY_HEAD_BYTES + 12;
/** How many entries back the one may stand that a set differs from. */
export const MAX_XOR_DISTANCE = 160;

export interface BitmapFile {
  /** Which objects are commits, trees, blobs, tags: in this order. */
  readonly types: readonly [Ewah, Ewah, Ewah, Ewah];
  /** By entry: the commit's place in the idx. */
  readonly ranks: Uint32Array;
  /** By entry: how many entries back the one stands that it differs from; 0 = it is stored as it is. */
  readonly xorDistances: Uint8Array;
  readonly sets: readonly Ewah[];
}

export interface BitmapEntry {
  readonly rank: number;
  readonly xorDistance: number;
  /** What `encodeEwah` made. */
  readonly set: Uint8Array;
}

export interface BitmapInput {
  readonly packChecksum: Oid;
  /** What `encodeEwah` made: commits, trees, blobs, tags. */
  readonly types: readonly Uint8Array[];
  readonly entries: readonly BitmapEntry[];
}

/**
 * Opens the bitmap of a pack. `malformed_pack` where it breaks the format, belongs to another pack or does not have its own
 * checksum. Works on the file's bytes; 70 bytes an entry besides.
 */
export function parseBitmapFile(
  file: Uint8Array,
  pack: { readonly objects: number; readonly packChecksum: Oid },
): BitmapFile {
  if (file.length < HEAD_BYTES + OID_BYTES) throw malformedBitmap('it is too short');
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const flags = view.getUint16(6);
  if (view.getUint32(0) !== MAGIC || view.getUint16(4) !== VERSION) throw malformedBitmap('it is not of version 1');
  if ((flags & ~(HASH_CACHE | LOOKUP_TABLE)) !== FULL_DAG) throw malformedBitmap('it has an extension nobody knows');
  if (oidFromBytes(file, 12) !== pack.packChecksum) throw malformedBitmap('it belongs to another pack');
  const checksumAt = file.length - OID_BYTES;
  if (compareOidBytes(sha1Of(file.subarray(0, checksumAt)), 0, file, checksumAt) !== 0) {
    throw malformedBitmap('its checksum does not match');
  }
  const count = view.getUint32(8);
  const behind =
    ((flags & HASH_CACHE) === 0 ? 0 : pack.objects * HASH_BYTES) +
    ((flags & LOOKUP_TABLE) === 0 ? 0 : count * ROW_BYTES);
  const end = checksumAt - behind;
  if (HEAD_BYTES + count * SMALLEST_ENTRY_BYTES > end) throw malformedBitmap('it is too short for its entries');

  const body = file.subarray(0, end);
  let at = HEAD_BYTES;
  const next = (): Ewah => {
    const set = parseEwah(body, at, pack.objects);
    at = set.end;
    return set;
  };
  const types = [next(), next(), next(), next()] as const;
  const ranks = new Uint32Array(count);
  const xorDistances = new Uint8Array(count);
  const sets: Ewah[] = [];
  for (let entry = 0; entry < count; entry++) {
    if (at + ENTRY_HEAD_BYTES > end) throw malformedBitmap('it is cut within its entries');
    const rank = view.getUint32(at);
    const distance = view.getUint8(at + 4);
    if (rank >= pack.objects) throw malformedBitmap('an entry is of no object of its pack');
    if (distance > Math.min(entry, MAX_XOR_DISTANCE)) throw malformedBitmap('an entry differs from none before it');
    ranks[entry] = rank;
    xorDistances[entry] = distance;
    at += ENTRY_HEAD_BYTES;
    sets.push(next());
  }
  return { types, ranks, xorDistances, sets };
}

/** The file of one pack's bitmaps. */
export function writeBitmapFile(input: BitmapInput): Uint8Array {
  let bytes = HEAD_BYTES + OID_BYTES;
  for (const set of input.types) bytes += set.length;
  for (const { set } of input.entries) bytes += ENTRY_HEAD_BYTES + set.length;
  const file = new Uint8Array(bytes);
  const view = new DataView(file.buffer);
  view.setUint32(0, MAGIC);
  view.setUint16(4, VERSION);
  view.setUint16(6, FULL_DAG);
  view.setUint32(8, input.entries.length);
  writeOidBytes(input.packChecksum, file, 12);
  let at = HEAD_BYTES;
  const append = (set: Uint8Array): void => {
    file.set(set, at);
    at += set.length;
  };
  for (const set of input.types) append(set);
  for (const { rank, xorDistance, set } of input.entries) {
    view.setUint32(at, rank);
    view.setUint8(at + 4, xorDistance);
    at += ENTRY_HEAD_BYTES;
    append(set);
  }
  file.set(sha1Of(file.subarray(0, at)), at);
  return file;
}

function malformedBitmap(what: string): HotpackError {
  return new HotpackError('malformed_pack', `malformed bitmap: ${what}`);
}
