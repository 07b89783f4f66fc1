import { beforeEach, describe, expect, it } from 'vitest';
import type { StorageWriter } from '../../../src/storage/contract.ts';
import type { DriverStorage } from '../../../src/storage/drivers/unstorage-driver.ts';
import { bytesOf, found, range, joined, equalBytes } from './context.ts';
import type { ContractContext, StorageUnderTest } from './context.ts';

export function describeWriterCases(context: ContractContext): void {
  const { keysUnder, waysToSee } = context;
  let storage: DriverStorage;
  let under: StorageUnderTest;
  beforeEach(() => {
    storage = context.under.storage;
    under = context.under;
  });

  describe('writers', () => {
    it('shows nothing until commit, then everything', async () => {
      const writer = await storage.openWriter('w/object');
      const chunks = [
        bytesOf(1),
        bytesOf(70_000, 3),
        bytesOf(10, 5),
        bytesOf(600_000, 9),
        bytesOf(255_999, 2),
        bytesOf(7),
      ];
      for (const chunk of chunks) {
        const given = chunk.slice();
        await writer.write(given);
        given.fill(0);
        expect(await waysToSee('w/object')).toEqual([]);
      }
      const whole = joined(chunks);
      expect(writer.bytesWritten).toBe(whole.length);
      await writer.commit();
      expect(equalBytes(await found(storage, 'w/object', whole.length), whole)).toBe(true);
      expect(await keysUnder('w')).toEqual(['w/object']);
    });

    it('takes a thousand small chunks and reads them back while it writes', async () => {
      const writer = await storage.openWriter('w');
      const whole = bytesOf(1_300_000);
      for (let at = 0; at < whole.length; at += 1300) {
        await writer.write(whole.subarray(at, at + 1300));
        if (at % 65_000 !== 0) continue;
        const [from, count] = [Math.floor(at / 2), Math.ceil(at / 2) + 1300];
        const [read] = await Promise.all([writer.read(from, count), writer.read(0, 1)]);
        expect(equalBytes(read, whole.subarray(from, from + count))).toBe(true);
      }
      await expect(writer.read(writer.bytesWritten, 1)).rejects.toMatchObject({ code: 'invalid_argument' });
      await writer.commit();
      expect(equalBytes(await found(storage, 'w', whole.length), whole)).toBe(true);
    });

    it('reads right while a write beside it flushes', async () => {
      const writer = await storage.openWriter('w');
      const whole = bytesOf(2_000_000);
      await writer.write(whole.subarray(0, 50_000));
      for (let at = 50_000; at < whole.length; at += 50_000) {
        const [, read] = await Promise.all([
          writer.write(whole.subarray(at, at + 50_000)),
          writer.read(at - 50_000, 50_000),
        ]);
        expect(equalBytes(read, whole.subarray(at - 50_000, at))).toBe(true);
      }
      await writer.abort();
    });

    it('rewrites the head, buffered or written', async () => {
      const writer = await storage.openWriter('w');
      await writer.write(bytesOf(12));
      await writer.rewriteHead(bytesOf(12, 9));
      expect(await writer.read(0, 12)).toEqual(bytesOf(12, 9));
      await writer.write(bytesOf(500_000, 1));
      await writer.rewriteHead(bytesOf(4, 77));
      const expected = joined([bytesOf(12, 9), bytesOf(500_000, 1)]);
      expected.set(bytesOf(4, 77));
      await expect(writer.rewriteHead(new Uint8Array(4097))).rejects.toMatchObject({ code: 'invalid_argument' });
      await writer.commit();
      expect(equalBytes(await found(storage, 'w', 1_000_000), expected)).toBe(true);
      const short = await storage.openWriter('s');
      await short.write(bytesOf(3));
      await expect(short.rewriteHead(bytesOf(4))).rejects.toMatchObject({ code: 'invalid_argument' });
      await short.abort();
    });

    it('takes what is larger than the parts of an upload, reads it all back and rewrites its head', async () => {
      const traces = await under.countTraces?.();
      const writer = await storage.openWriter('w/large');
      const whole = bytesOf(22_000_003);
      for (let at = 0; at < whole.length; at += 3_000_000) {
        const [, read] = await Promise.all([
          writer.write(whole.subarray(at, at + 3_000_000)),
          writer.read(Math.floor(at / 2), at - Math.floor(at / 2)),
        ]);
        expect(equalBytes(read, whole.subarray(Math.floor(at / 2), at))).toBe(true);
      }
      expect(await waysToSee('w/large')).toEqual([]);
      await writer.rewriteHead(bytesOf(12, 99));
      whole.set(bytesOf(12, 99));
      for (const [offset, length] of [
        [0, 22_000_003],
        [8_388_600, 20],
        [5_242_870, 9_000_000],
        [22_000_000, 3],
      ] as const) {
        expect(equalBytes(await writer.read(offset, length), whole.subarray(offset, offset + length))).toBe(true);
      }
      await writer.commit();
      expect(equalBytes(await found(storage, 'w/large', whole.length), whole)).toBe(true);
      await storage.delete(['w/large']);
      expect(await under.countTraces?.()).toEqual(traces);
    });

    it('replaces what was under the key, and racing writers leave one of them', async () => {
      await storage.put('w', bytesOf(5));
      const writers = await Promise.all(range(8).map(() => storage.openWriter('w')));
      await Promise.all(
        writers.map(async (writer, i) => {
          await writer.write(new Uint8Array(100_000).fill(i));
          await writer.commit();
        }),
      );
      const bytes = await found(storage, 'w', 100_000);
      expect(bytes).toHaveLength(100_000);
      expect(new Set(bytes).size).toBe(1);
    });

    it('leaves nothing when aborted at any point', async () => {
      const traces = await under.countTraces?.();
      const abortAt = async (prepare: (writer: StorageWriter) => Promise<void>): Promise<void> => {
        const writer = await storage.openWriter('w/x');
        await prepare(writer);
        await Promise.all([writer.abort(), writer.abort()]);
        await writer.abort();
        await expect(writer.write(bytesOf(1))).rejects.toMatchObject({ code: 'invalid_argument' });
        await expect(writer.commit()).rejects.toMatchObject({ code: 'invalid_argument' });
      };
      await abortAt(async () => undefined);
      await abortAt((writer) => writer.write(bytesOf(10)));
      await abortAt((writer) => writer.write(bytesOf(2_000_000)));
      await abortAt(async (writer) => {
        // Not awaited: the abort comes in mid-write.
        void writer.write(bytesOf(5_000_000)).catch(() => undefined);
      });
      await abortAt((writer) => writer.write(bytesOf(12_000_000)));
      await abortAt(async (writer) => {
        void writer.write(bytesOf(30_000_000)).catch(() => undefined);
      });
      expect(await waysToSee('w/x')).toEqual([]);
      expect(await keysUnder('')).toEqual([]);
      expect(await under.countTraces?.()).toEqual(traces);
    });

    it('leaves nothing when the source of a stream fails', async () => {
      const traces = await under.countTraces?.();
      async function* failing(): AsyncGenerator<Uint8Array> {
        yield bytesOf(300_000);
        yield bytesOf(300_000);
        throw new Error('upstream went away');
      }
      const writer = await storage.openWriter('w/x');
      await expect(
        (async () => {
          try {
            for await (const chunk of failing()) await writer.write(chunk);
            await writer.commit();
          } catch (error) {
            await writer.abort();
            throw error;
          }
        })(),
      ).rejects.toThrow('upstream went away');
      expect(await waysToSee('w/x')).toEqual([]);
      expect(await under.countTraces?.()).toEqual(traces);
    });

    it('is done after commit', async () => {
      const writer = await storage.openWriter('w');
      await writer.write(bytesOf(3));
      await writer.commit();
      await writer.abort();
      await expect(writer.commit()).rejects.toMatchObject({ code: 'invalid_argument' });
      expect(await found(storage, 'w')).toEqual(bytesOf(3));
    });
  });
}
