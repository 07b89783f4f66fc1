import { mkdtempSync, openSync, closeSync, writeFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import type { StorageReader } from '../../../src/storage/contract.ts';
import { openFsStorage } from '../../../src/storage/drivers/fs.ts';
import {
  IN_A_ROW,
  InPlaceReads,
  MAX_IN_PLACE_BYTES,
  POOLED_AFTER_SLOW,
} from '../../../src/storage/drivers/fs/in-place-reads.ts';

const folder = mkdtempSync(join(tmpdir(), 'hotpack-reads-'));
const path = join(folder, 'file');
const content = Uint8Array.from({ length: MAX_IN_PLACE_BYTES + 1 }, (_, i) => i * 31);
writeFileSync(path, content);
const fd = openSync(path, 'r');
afterAll(() => {
  closeSync(fd);
  rmSync(folder, { recursive: true });
});

/** Reads of which each takes as long as `ms` says. */
function timed(ms: { each: number }): InPlaceReads {
  let at = 0;
  let isBegin = false;
  return new InPlaceReads(fd, () => {
    isBegin = !isBegin;
    at += isBegin ? 0 : ms.each;
    return at;
  });
}

function fill(reads: InPlaceReads): boolean {
  return reads.fill(new Uint8Array(8), 0);
}

function fills(reads: InPlaceReads, count: number): number {
  return Array.from({ length: count }, () => fill(reads)).filter(Boolean).length;
}

test('fills the target with the bytes from the position on', () => {
  const target = new Uint8Array(100);
  expect(new InPlaceReads(fd).fill(target, 1_000)).toBe(true);
  expect(target).toStrictEqual(content.slice(1_000, 1_100));
  const all = new Uint8Array(MAX_IN_PLACE_BYTES);
  expect(new InPlaceReads(fd).fill(all, 1)).toBe(true);
  expect(Buffer.compare(all, content.subarray(1))).toBe(0);
});

test('leaves large reads, and what the file ends before, to the pool', () => {
  const reads = new InPlaceReads(fd);
  const large = new Uint8Array(MAX_IN_PLACE_BYTES + 1);
  expect(reads.fill(large, 0)).toBe(false);
  expect(large[1]).toBe(0);
  expect(reads.fill(new Uint8Array(2), content.length - 1)).toBe(false);
});

test('one read in so many goes through the pool, which is a turn of the event loop', () => {
  const reads = timed({ each: 0 });
  expect(fills(reads, 3 * (IN_A_ROW + 1))).toBe(3 * IN_A_ROW);
  expect(fills(reads, IN_A_ROW)).toBe(IN_A_ROW);
  expect(fill(reads)).toBe(false);
});

test('behind a slow read so many go through the pool, then it is tried again', () => {
  const ms = { each: 5 };
  const reads = timed(ms);
  expect(fill(reads)).toBe(true);
  expect(fills(reads, POOLED_AFTER_SLOW)).toBe(0);
  expect(fill(reads)).toBe(true);
  ms.each = 0.1;
  expect(fills(reads, POOLED_AFTER_SLOW)).toBe(0);
  expect(fills(reads, IN_A_ROW)).toBe(IN_A_ROW);
});

test('throws what the system says', () => {
  expect(() => fill(new InPlaceReads(2 ** 20))).toThrow('EBADF');
});

test('a folder that is opened for it reads without a turn of the event loop', async () => {
  const storage = await openFsStorage({ folder, readsInPlace: true });
  const reader = (await storage.open('file')) as StorageReader;
  let isTurned = false;
  setImmediate(() => (isTurned = true));
  expect(await reader.read(3, 2)).toStrictEqual(content.slice(3, 5));
  expect(isTurned).toBe(false);
  await reader.close();
  await expect(reader.read(3, 2)).rejects.toMatchObject({ code: 'invalid_argument' });
  await storage.close();
});
