import { beforeEach, describe, expect, it } from 'vitest';
import type { DriverStorage } from '../../../src/storage/drivers/unstorage-driver.ts';
import { bytesOf, increment, versionOf, range } from './context.ts';
import type { ContractContext, StorageUnderTest } from './context.ts';

export function describeDocumentCases(context: ContractContext): void {
  const { keysUnder } = context;
  let storage: DriverStorage;
  let under: StorageUnderTest;
  beforeEach(() => {
    storage = context.under.storage;
    under = context.under;
  });

  describe('documents', () => {
    it('are created once, replaced by version, and never seen as objects', async () => {
      const first = await storage.replaceDocument('d/doc', bytesOf(4), 'absent');
      expect(first.kind).toBe('replaced');
      expect(await storage.replaceDocument('d/doc', bytesOf(5), 'absent')).toEqual({ kind: 'lost' });
      const read = await storage.readDocument('d/doc');
      expect(read).toEqual({ kind: 'found', bytes: bytesOf(4), version: versionOf(first) });
      const second = await storage.replaceDocument('d/doc', bytesOf(1_048_576), versionOf(first));
      expect(second.kind).toBe('replaced');
      expect(await storage.replaceDocument('d/doc', bytesOf(6), versionOf(first))).toEqual({ kind: 'lost' });
      expect(await storage.replaceDocument('d/doc', bytesOf(6), '../../x')).toEqual({ kind: 'lost' });
      expect(await storage.replaceDocument('d/none', bytesOf(6), versionOf(first))).toEqual({ kind: 'lost' });
      expect(await storage.head('d/doc')).toEqual({ kind: 'absent' });
      expect(await storage.open('d/doc')).toEqual({ kind: 'absent' });
      const { objects } = await storage.list('');
      expect(objects).toMatchObject([{ kind: 'document', key: 'd/doc', bytes: 1_048_576 }]);
    });

    it('hold at most 1 MiB', async () => {
      await expect(storage.replaceDocument('d', bytesOf(1_048_577), 'absent')).rejects.toMatchObject({
        code: 'invalid_argument',
      });
      expect(await storage.readDocument('d')).toEqual({ kind: 'absent' });
    });

    it('go with delete, and a version never comes back', async () => {
      const first = await storage.replaceDocument('d/doc', bytesOf(1), 'absent');
      await storage.delete(['d/doc']);
      expect(await storage.readDocument('d/doc')).toEqual({ kind: 'absent' });
      expect(await keysUnder('')).toEqual([]);
      expect(await storage.replaceDocument('d/doc', bytesOf(2), versionOf(first))).toEqual({ kind: 'lost' });
      const again = await storage.replaceDocument('d/doc', bytesOf(1), 'absent');
      expect(again.kind).toBe('replaced');
      expect(versionOf(again)).not.toBe(versionOf(first));
      expect(await storage.replaceDocument('d/doc', bytesOf(2), versionOf(first))).toEqual({ kind: 'lost' });
    });

    it('let one of 20 creators and one of 20 replacers win', async () => {
      const traces = await under.countTraces?.();
      const race = async (expected: string): Promise<string> => {
        const results = await Promise.all(
          range(20).map((i) => storage.replaceDocument('doc', Uint8Array.of(i), expected)),
        );
        const winners = range(20).filter((i) => results[i]?.kind === 'replaced');
        expect(winners).toHaveLength(1);
        const winner = winners[0] as number;
        const version = versionOf(results[winner]);
        expect(await storage.readDocument('doc')).toEqual({ kind: 'found', bytes: Uint8Array.of(winner), version });
        return version;
      };
      let version = await race('absent');
      for (let round = 0; round < 5; round++) version = await race(version);
      await storage.delete(['doc']);
      expect(await under.countTraces?.()).toEqual(traces);
    });

    it('lose no increment of racing writers, and readers see no value go back', async () => {
      const writers = under.isSlow === true ? 8 : 20;
      const second = (await under.openSecond?.()) ?? storage;
      let writing = true;
      const reading = (async () => {
        const values: number[] = [];
        while (writing) {
          const read = await second.readDocument('counter');
          values.push(read.kind === 'absent' ? 0 : Number(new TextDecoder().decode(read.bytes)));
          await new Promise((resolve) => setImmediate(resolve));
        }
        return values;
      })();
      await Promise.all(
        range(writers).map(async (i) => {
          for (let n = 0; n < 5; n++) await increment(i % 2 === 0 ? storage : second, 'counter');
        }),
      );
      writing = false;
      const values = await reading;
      expect(values).toEqual(values.toSorted((left, right) => left - right));
      const final = await storage.readDocument('counter');
      expect(final.kind === 'found' && new TextDecoder().decode(final.bytes)).toBe(String(writers * 5));
      if (second !== storage) await second.close();
    });

    it('count exactly while others delete other documents of the folder', async () => {
      await Promise.all([
        ...range(4).map(async () => {
          for (let n = 0; n < 5; n++) await increment(storage, 'f/counter');
        }),
        ...range(4).map(async (i) => {
          for (let n = 0; n < 5; n++) {
            expect((await storage.replaceDocument(`f/${i}`, bytesOf(1), 'absent')).kind).toBe('replaced');
            await storage.delete([`f/${i}`]);
          }
        }),
      ]);
      const final = await storage.readDocument('f/counter');
      expect(final.kind === 'found' && new TextDecoder().decode(final.bytes)).toBe('20');
      expect(await keysUnder('')).toEqual(['f/counter']);
    });
  });
}
