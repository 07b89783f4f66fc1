/**
 * Keyed 64-bit fingerprints of object names. The key is random per process, so that nobody outside can make names
 * whose fingerprints collide (a missing object would pass for one that is there) or fall into one bucket.
 */
import { randomBytes } from 'node:crypto';

let keyLow = 0;
let keyHigh = 0;
let startLow = 0;
let startHigh = 0;

/** Where `fingerprint` leaves its result: two unsigned halves, never both 0. */
export const print: { low: number; high: number } = { low: 0, high: 0 };

/** Fingerprint of the 20 bytes at `at` of `table`, into `print`. */
export function fingerprint(table: Uint8Array, at: number): void {
  if (keyLow === 0) seed();
  let low = startLow;
  let high = startHigh;
  for (let i = at; i < at + 20; i += 4) {
    const next = word(table, i);
    low = Math.imul(low ^ next, keyLow);
    low ^= low >>> 15;
    high = Math.imul((high + next) | 0, keyHigh);
    high = (high << 13) | (high >>> 19);
    high ^= low;
  }
  low = Math.imul(low ^ (low >>> 16), 0x7feb352d);
  low ^= low >>> 15;
  high = Math.imul(high ^ (high >>> 15), 0x2c1b3c6d);
  high ^= high >>> 13;
  print.low = low === 0 && high === 0 ? 1 : low >>> 0;
  print.high = high >>> 0;
}

/** With the first fingerprint, not when the module is loaded: Workers give no random numbers then. */
function seed(): void {
  const bytes = randomBytes(16);
  keyLow = word(bytes, 0) | 1;
  keyHigh = word(bytes, 4) | 1;
  startLow = word(bytes, 8);
  startHigh = word(bytes, 12);
}

function word(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at] as number) |
    ((bytes[at + 1] as number) << 8) |
    ((bytes[at + 2] as number) << 16) |
    ((bytes[at + 3] as number) << 24)
  );
}
