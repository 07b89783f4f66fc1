import { beforeEach, describe, expect, it } from 'vitest';
import type { DriverStorage } from '../../../src/storage/drivers/unstorage-driver.ts';
import { bytesOf, range } from './context.ts';
import type { ContractContext } from './context.ts';

export function describeListingCases(context: ContractContext): void {
  const { keysUnder } = context;
  let storage: DriverStorage;
  beforeEach(() => {
    storage = context.under.storage;
  });

  describe('list', () => {
    it('pages over more than 1,000 keys in order, each once', async () => {
      const keys = range(1_205).map((i) => `many/${i % 7}/${String(i * 7919).padStart(8, '0')}`);
      for (let at = 0; at < keys.length; at += 50) {
        await Promise.all(keys.slice(at, at + 50).map((key) => storage.put(key, bytesOf(1))));
      }
      await storage.put('man', bytesOf(1));
      await storage.put('manz', bytesOf(1));
      keys.sort();
      const first = await storage.list('many/');
      expect(first.objects).toHaveLength(1000);
      expect(first.next).toBeDefined();
      expect(await keysUnder('many/')).toEqual(keys);
      const paged: string[] = [];
      for (let after = ''; ;) {
        const page = await storage.list('many/', { after, limit: 301 });
        expect(page.objects.length).toBeLessThanOrEqual(301);
        paged.push(...page.objects.map((object) => object.key));
        if (page.next === undefined) break;
        after = page.next;
      }
      expect(paged).toEqual(keys);
    });

    it('orders by bytes and takes prefixes as strings', async () => {
      const keys = ['a-b', 'a.b', 'a/b', 'a/b-c', 'a/c/d', 'a0', 'aa/x', 'B', 'b', '~t', 'Z/%20', '_x'];
      for (const key of keys) await storage.put(key, bytesOf(1));
      expect((await storage.replaceDocument('a-doc', bytesOf(1), 'absent')).kind).toBe('replaced');
      expect((await storage.replaceDocument('a/b.doc', bytesOf(1), 'absent')).kind).toBe('replaced');
      const all = [...keys, 'a-doc', 'a/b.doc'].sort();
      expect(await keysUnder('')).toEqual(all);
      for (const prefix of ['a', 'a/', 'a/b', 'a-', 'a/c', 'Z/%', 'zz', 'a/b/', 'b']) {
        expect([prefix, ...(await keysUnder(prefix))]).toEqual([
          prefix,
          ...all.filter((key) => key.startsWith(prefix)),
        ]);
      }
      for (const after of ['a', 'a/', 'a/b', 'a-z', 'a/c/d', '~~', 'A']) {
        const page = await storage.list('', { after });
        expect([after, ...page.objects.map((object) => object.key)]).toEqual([
          after,
          ...all.filter((key) => key > after),
        ]);
      }
      for (let i = 0; i < all.length; i++) {
        const page = await storage.list('', { after: all[i] as string, limit: 1 });
        expect(page.objects.map((object) => object.key)).toEqual(all.slice(i + 1, i + 2));
        expect(page.next).toBe(i + 2 < all.length ? all[i + 1] : undefined);
      }
    });

    it.each([0, -1, 1001, 1.5])('refuses a page of %d', async (limit) => {
      await expect(storage.list('', { limit })).rejects.toMatchObject({ code: 'invalid_argument' });
    });
  });
}
