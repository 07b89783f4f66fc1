/**
 * Object names as commits and tags spell them: 40 hex digits in the middle of a buffer.
 */
import { OID_BYTES } from '../../../bytes/oid.ts';

/** The value of each hex digit's code, 255 for every other byte. */
const NIBBLES: Uint8Array = new Uint8Array(256).fill(255);
for (let digit = 0; digit < 16; digit++) {
  const text = digit.toString(16);
  NIBBLES[text.charCodeAt(0)] = digit;
  NIBBLES[text.toUpperCase().charCodeAt(0)] = digit;
}

/** Decodes 40 hex digits at `offset` of `content` to 20 bytes at `targetOffset`; false where they are no such digits. */
export function decodeHexName(content: Uint8Array, offset: number, target: Uint8Array, targetOffset: number): boolean {
  if (offset + 2 * OID_BYTES > content.length) return false;
  for (let i = 0; i < OID_BYTES; i++) {
    const high = NIBBLES[content[offset + 2 * i] as number] as number;
    const low = NIBBLES[content[offset + 2 * i + 1] as number] as number;
    if ((high | low) > 15) return false;
    target[targetOffset + i] = (high << 4) | low;
  }
  return true;
}
