/** Tables of big-endian 32-bit numbers, as git's indexes hold them, as arrays: swapped at once instead of number by number. */
import { Buffer } from 'node:buffer';

const IS_LITTLE_ENDIAN = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;

/** The `count` numbers at `at` of `bytes`, in an array of their own. */
export function readUint32s(bytes: Uint8Array, at: number, count: number): Uint32Array {
  const copy = bytes.slice(at, at + count * 4);
  if (IS_LITTLE_ENDIAN) Buffer.from(copy.buffer, copy.byteOffset, copy.length).swap32();
  return new Uint32Array(copy.buffer, copy.byteOffset, count);
}
