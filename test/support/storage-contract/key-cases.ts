import { beforeEach, describe, expect, it } from 'vitest';
import type { HotpackError } from '../../../src/bytes/error.ts';
import type { DriverStorage } from '../../../src/storage/drivers/unstorage-driver.ts';
import { bytesOf } from './context.ts';
import type { ContractContext } from './context.ts';

export function describeKeyCases(context: ContractContext): void {
  const { keysUnder } = context;
  let storage: DriverStorage;
  beforeEach(() => {
    storage = context.under.storage;
  });

  describe('keys', () => {
    const bad = [
      '',
      '/',
      '/a',
      'a/',
      'a//b',
      '.',
      '..',
      'a/../b',
      'a/./b',
      'a b',
      'a\\b',
      'a:b',
      'ä',
      'a@',
      'a\0',
      'a\n',
      'tmp',
      'tmp/x',
      'x'.repeat(251),
      'x/'.repeat(500) + 'x',
    ];
    it.each(bad)('refuses %j everywhere', async (key) => {
      const refused = { code: 'invalid_argument' } satisfies Partial<HotpackError>;
      await expect(storage.head(key)).rejects.toMatchObject(refused);
      await expect(storage.readAll(key, 1)).rejects.toMatchObject(refused);
      await expect(storage.open(key)).rejects.toMatchObject(refused);
      await expect(storage.put(key, bytesOf(1))).rejects.toMatchObject(refused);
      await expect(storage.create(key, bytesOf(1))).rejects.toMatchObject(refused);
      await expect(storage.openWriter(key)).rejects.toMatchObject(refused);
      await expect(storage.readDocument(key)).rejects.toMatchObject(refused);
      await expect(storage.replaceDocument(key, bytesOf(1), 'absent')).rejects.toMatchObject(refused);
      await storage.put('good', bytesOf(1));
      await expect(storage.delete(['good', key])).rejects.toMatchObject(refused);
      expect(await keysUnder('')).toEqual(['good']);
    });

    it.each(['/', '../', 'a//', 'a b', '\0', './a', '..//x'])('refuses the prefix %j', async (prefix) => {
      await expect(storage.list(prefix)).rejects.toMatchObject({ code: 'invalid_argument' });
    });

    it('takes the longest', async () => {
      const key = `${'x'.repeat(250)}/${'y'.repeat(250)}/${'z'.repeat(250)}/${'w'.repeat(247)}`;
      await storage.put(key, bytesOf(1));
      expect(await keysUnder('')).toEqual([key]);
      await storage.delete([key]);
      expect((await storage.replaceDocument(key, bytesOf(1), 'absent')).kind).toBe('replaced');
      expect(await keysUnder('x')).toEqual([key]);
    });
  });
}
