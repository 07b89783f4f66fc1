/** Adler-32 (RFC 1950, section 8.2). */

/** Bytes that can be summed before the second sum leaves 32 bits. */
const STRIDE = 5552;
const MODULUS = 65521;

/** The checksum of `bytes[start, end)`, or with `seed` (the checksum of what came before) of both together. Unsigned. */
export function adler32(bytes: Uint8Array, start: number, end: number, seed = 1): number {
  let low = seed & 0xffff;
  let high = seed >>> 16;
  let at = start;
  while (at < end) {
    const stop = Math.min(at + STRIDE, end);
    const stopEight = stop - 7;
    while (at < stopEight) {
      high += low += bytes[at] as number;
      high += low += bytes[at + 1] as number;
      high += low += bytes[at + 2] as number;
      high += low += bytes[at + 3] as number;
      high += low += bytes[at + 4] as number;
      high += low += bytes[at + 5] as number;
      high += low += bytes[at + 6] as number;
      high += low += bytes[at + 7] as number;
      at += 8;
    }
    while (at < stop) high += low += bytes[at++] as number;
    low %= MODULUS;
    high %= MODULUS;
  }
  return ((high << 16) | low) >>> 0;
}
