import { beforeEach, describe, expect, it } from 'vitest';
import { readAllStream } from '../../../src/bytes/streams.ts';
import type { DriverStorage } from '../../../src/storage/drivers/unstorage-driver.ts';
import { bytesOf, found, range } from './context.ts';
import type { ContractContext } from './context.ts';

export function describeObjectCases(context: ContractContext): void {
  const { openReader, keysUnder, waysToSee } = context;
  let storage: DriverStorage;
  beforeEach(() => {
    storage = context.under.storage;
  });

  describe('objects', () => {
    it('says absent, and nothing else, of what is not there', async () => {
      expect(await waysToSee('no/such')).toEqual([]);
      expect(await storage.readDocument('no/such')).toEqual({ kind: 'absent' });
      await storage.delete(['no/such', 'other']);
      expect(await keysUnder('')).toEqual([]);
    });

    it('returns what was put, with its length and time', async () => {
      const before = Date.now();
      await storage.put('a/b', bytesOf(100_000));
      const info = await storage.head('a/b');
      expect(info).toMatchObject({ kind: 'object', key: 'a/b', bytes: 100_000 });
      if (info.kind === 'absent') return;
      expect(info.modifiedAtMs).toBeGreaterThanOrEqual(before - 2000);
      expect(info.modifiedAtMs).toBeLessThanOrEqual(Date.now() + 2000);
      expect(await found(storage, 'a/b')).toEqual(bytesOf(100_000));
      const reader = await openReader('a/b');
      expect(reader.info).toEqual(info);
      await reader.close();
    });

    it('keeps empty objects', async () => {
      await storage.put('empty', new Uint8Array());
      expect(await found(storage, 'empty')).toEqual(new Uint8Array());
      const reader = await openReader('empty');
      expect(await readAllStream(reader.stream(), 10)).toEqual(new Uint8Array());
      await reader.close();
      await (await storage.openWriter('empty2')).commit();
      expect(await storage.head('empty2')).toMatchObject({ bytes: 0 });
    });

    it('replaces whole objects and shares no memory with its callers', async () => {
      const mine = bytesOf(10);
      await storage.put('k', mine);
      mine.fill(0xff);
      const first = await found(storage, 'k');
      expect(first).toEqual(bytesOf(10));
      first.fill(0xee);
      expect(await found(storage, 'k')).toEqual(bytesOf(10));
      await storage.put('k', bytesOf(3, 7));
      expect(await found(storage, 'k')).toEqual(bytesOf(3, 7));
    });

    it('reads no object that is larger than its reader takes', async () => {
      await storage.put('k', bytesOf(11));
      await expect(storage.readAll('k', 10)).rejects.toMatchObject({ code: 'limit_exceeded' });
      expect(await found(storage, 'k', 11)).toHaveLength(11);
    });

    it('lets one of 20 racing creators win and keeps its bytes', async () => {
      const results = await Promise.all(range(20).map((i) => storage.create('race/one', Uint8Array.of(i))));
      const winners = range(20).filter((i) => results[i] === 'created');
      expect(winners).toHaveLength(1);
      expect(await found(storage, 'race/one')).toEqual(Uint8Array.of(winners[0] as number));
      expect(await storage.create('race/one', Uint8Array.of(99))).toBe('exists');
      expect(await keysUnder('')).toEqual(['race/one']);
    });

    it('survives puts and deletes that race in one folder', async () => {
      await Promise.all(
        range(20).map(async (i) => {
          for (let turn = 0; turn < 5; turn++) {
            await storage.put(`deep/er/${i}`, Uint8Array.of(turn));
            await storage.delete([`deep/er/${i}`]);
          }
        }),
      );
      expect(await keysUnder('')).toEqual([]);
    });
  });
}
