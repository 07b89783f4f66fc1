import { beforeEach, describe, expect, it } from 'vitest';
import { iterateStream, readAllStream } from '../../../src/bytes/streams.ts';
import type { DriverStorage } from '../../../src/storage/drivers/unstorage-driver.ts';
import { bytesOf, joined, equalBytes } from './context.ts';
import type { ContractContext } from './context.ts';

export function describeReadingCases(context: ContractContext): void {
  const { openReader, waysToSee } = context;
  let storage: DriverStorage;
  beforeEach(() => {
    storage = context.under.storage;
  });

  describe('ranged and streamed reads', () => {
    const length = 3_000_001;

    it('reads exactly the ranges asked for, many at once', async () => {
      await storage.put('big', bytesOf(length));
      const reader = await openReader('big');
      const ranges = [
        [0, 0],
        [0, 1],
        [length - 1, 1],
        [length, 0],
        [262_143, 2],
        [65_536, 1_000_000],
        [0, length],
      ] as const;
      const read = await Promise.all(ranges.map(([offset, count]) => reader.read(offset, count)));
      for (const [i, [offset, count]] of ranges.entries()) {
        expect(equalBytes(read[i] as Uint8Array, bytesOf(length).subarray(offset, offset + count))).toBe(true);
      }
      await reader.close();
    });

    it('gives the same from memory that is lent, and touches nothing of it behind what was asked for', async () => {
      await storage.put('big', bytesOf(length));
      const reader = await openReader('big');
      const lent = new Uint8Array(400_000).fill(7);
      const read = await reader.read(1_000_000, 300_000, undefined, lent);
      expect(equalBytes(read, bytesOf(length).subarray(1_000_000, 1_300_000))).toBe(true);
      expect(lent.subarray(300_000).every((byte) => byte === 7)).toBe(true);
      await reader.close();
    });

    it.each([
      [-1, 1],
      [0, length + 1],
      [length, 1],
      [0.5, 1],
      [0, -1],
      [Number.NaN, 1],
      [0, Number.MAX_SAFE_INTEGER],
    ])('refuses the range %d+%d', async (offset, count) => {
      await storage.put('big', bytesOf(length));
      const reader = await openReader('big');
      await expect(reader.read(offset, count)).rejects.toMatchObject({ code: 'invalid_argument' });
      expect(() => reader.stream({ offset, length: count })).toThrow(
        expect.objectContaining({ code: 'invalid_argument' }),
      );
      await reader.close();
    });

    it('streams ranges in chunks of at least 64 KiB', async () => {
      await storage.put('big', bytesOf(length));
      const reader = await openReader('big');
      for (const [offset, count] of [
        [0, length],
        [5, 700_000],
        [length - 3, 3],
        [9, 0],
      ] as const) {
        const chunks: Uint8Array[] = [];
        for await (const chunk of iterateStream(reader.stream({ offset, length: count }))) chunks.push(chunk);
        for (const chunk of chunks.slice(0, -1)) expect(chunk.length).toBeGreaterThanOrEqual(65_536);
        expect(equalBytes(joined(chunks), bytesOf(length).subarray(offset, offset + count))).toBe(true);
      }
      await reader.close();
    });

    it('hands out streams of the medium itself, where it has any', async () => {
      await storage.put('big', bytesOf(length));
      const reader = await openReader('big');
      for (const [offset, count] of [
        [0, length],
        [5, 700_000],
        [length, 0],
      ] as const) {
        const body = await reader.openBody?.({ offset, length: count });
        if (body === undefined) continue;
        const bytes = await readAllStream(body, length);
        expect(equalBytes(bytes, bytesOf(length).subarray(offset, offset + count))).toBe(true);
      }
      await reader.close();
    });

    it('goes on reading after a stream was left', async () => {
      await storage.put('big', bytesOf(length));
      const reader = await openReader('big');
      for await (const chunk of iterateStream(reader.stream())) {
        expect(chunk.length).toBeGreaterThan(0);
        break;
      }
      await reader.stream().cancel();
      expect(await reader.read(10, 4)).toEqual(bytesOf(length).slice(10, 14));
      await reader.close();
    });

    it('ends reads and streams when the signal fires, and all of them when the reader closes', async () => {
      await storage.put('big', bytesOf(length));
      const reader = await openReader('big');
      const fired = AbortSignal.abort();
      await expect(reader.read(0, 1, fired)).rejects.toMatchObject({ code: 'aborted' });
      await expect(readAllStream(reader.stream(undefined, fired), length)).rejects.toMatchObject({ code: 'aborted' });
      const stream = reader.stream();
      await reader.close();
      await reader.close();
      await expect(readAllStream(stream, length)).rejects.toMatchObject({ code: 'invalid_argument' });
      await expect(reader.read(0, 1)).rejects.toMatchObject({ code: 'invalid_argument' });
    });

    it('keeps an open object readable after its deletion and replacement, or says that it is gone', async () => {
      await storage.put('d/one', bytesOf(1_000_000));
      await storage.put('d/two', bytesOf(1_000_000));
      const one = await openReader('d/one');
      const two = await openReader('d/two');
      await storage.delete(['d/one']);
      await storage.put('d/two', bytesOf(5));
      expect(await waysToSee('d/one')).toEqual([]);
      if (context.under.survivesDeletion ?? true) {
        expect(equalBytes(await one.read(0, 1_000_000), bytesOf(1_000_000))).toBe(true);
        expect(equalBytes(await readAllStream(two.stream(), 1_000_000), bytesOf(1_000_000))).toBe(true);
      } else {
        const gone = { code: 'storage_unavailable' };
        await expect(one.read(0, 1)).rejects.toMatchObject(gone);
        await expect(two.read(0, 5)).rejects.toMatchObject(gone);
        await expect(readAllStream(one.stream(), 1_000_000)).rejects.toMatchObject(gone);
        await expect(readAllStream(two.stream(), 1_000_000)).rejects.toMatchObject(gone);
      }
      await one.close();
      await two.close();
    });
  });
}
