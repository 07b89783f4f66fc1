/**
 * Object names. At every boundary an object is named by 40 lower-case hex digits (`Oid`); inside the
 * pack engine by 20 raw bytes at an offset of a packed table, so that a million names are one array.
 */
export type Oid = string;

export const OID_BYTES = 20;
export const ZERO_OID: Oid = '0'.repeat(40);

const OID_PATTERN = /^[0-9a-f]{40}$/;
const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** True where `text` is 40 lower-case hex digits. */
export function isOid(text: string): boolean {
  return OID_PATTERN.test(text);
}

/** The 20 bytes at `offset` of `table` as 40 hex digits. */
export function oidFromBytes(table: Uint8Array, offset = 0): Oid {
  let hex = '';
  for (let i = offset; i < offset + OID_BYTES; i++) hex += HEX[table[i] as number];
  return hex;
}

/** Writes the 20 bytes of `oid` at `offset` of `table`. `oid` must be an `Oid`. */
export function writeOidBytes(oid: Oid, table: Uint8Array, offset = 0): void {
  for (let i = 0; i < OID_BYTES; i++) {
    table[offset + i] = (digitOf(oid.charCodeAt(2 * i)) << 4) | digitOf(oid.charCodeAt(2 * i + 1));
  }
}

/** `0`-`9` are 0x30-0x39, `a`-`f` 0x61-0x66: bit 6 tells them apart. */
function digitOf(code: number): number {
  return (code & 0xf) + (code >> 6) * 9;
}

export function oidToBytes(oid: Oid): Uint8Array {
  const bytes = new Uint8Array(OID_BYTES);
  writeOidBytes(oid, bytes);
  return bytes;
}

/** Orders two 20-byte names as `memcmp` does: below, at or above 0. */
export function compareOidBytes(left: Uint8Array, leftOffset: number, right: Uint8Array, rightOffset: number): number {
  for (let i = 0; i < OID_BYTES; i++) {
    const difference = (left[leftOffset + i] as number) - (right[rightOffset + i] as number);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Any bytes as lower-case hex digits. */
export function bytesToHex(bytes: Uint8Array): string {
  let hex = '';
  for (const byte of bytes) hex += HEX[byte];
  return hex;
}
