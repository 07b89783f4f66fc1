import { beforeEach, describe, expect, it } from 'vitest';
import { createStorage } from 'unstorage';
import type { DriverStorage } from '../../../src/storage/drivers/unstorage-driver.ts';
import { bytesOf, found } from './context.ts';
import type { ContractContext } from './context.ts';

export function describeUnstorageCases(context: ContractContext): void {
  const { keysUnder } = context;
  let storage: DriverStorage;
  beforeEach(() => {
    storage = context.under.storage;
  });

  describe('as an unstorage driver', () => {
    it('works below createStorage, mounted too, and keeps to its base', async () => {
      const unstorage = createStorage({ driver: storage });
      await unstorage.setItem('kv:one', { n: 1 });
      await unstorage.setItemRaw('kv:raw', Uint8Array.of(0, 255, 10));
      await unstorage.setItem('other:x', 'text');
      expect(await unstorage.getItem('kv:one')).toEqual({ n: 1 });
      expect(await unstorage.getItemRaw('kv:raw')).toEqual(Uint8Array.of(0, 255, 10));
      expect(await unstorage.getItem('kv:none')).toBeNull();
      expect(await unstorage.getItemRaw('kv:none')).toBeNull();
      expect(await unstorage.hasItem('kv:one')).toBe(true);
      expect(await unstorage.hasItem('kv:none')).toBe(false);
      expect((await unstorage.getKeys('kv')).sort()).toEqual(['kv:one', 'kv:raw']);
      await unstorage.setMeta('kv:raw', { note: 'n' });
      expect(await unstorage.getMeta('kv:raw')).toMatchObject({ size: 3, note: 'n' });
      expect((await unstorage.getKeys('kv')).sort()).toEqual(['kv:one', 'kv:raw']);
      expect(await found(storage, 'kv/raw')).toEqual(Uint8Array.of(0, 255, 10));
      await storage.replaceDocument('kv/doc', bytesOf(2), 'absent');
      expect(await unstorage.hasItem('kv:doc')).toBe(true);
      expect(await unstorage.getItemRaw('kv:doc')).toEqual(bytesOf(2));
      await unstorage.removeItem('kv:one');
      expect(await unstorage.hasItem('kv:one')).toBe(false);
      await storage.clear('kv:', {});
      expect(await unstorage.getKeys()).toEqual(['other:x']);
      await unstorage.clear();
      expect(await keysUnder('')).toEqual([]);
    });

    it('refuses values that are neither bytes nor text', async () => {
      await expect(Promise.resolve(storage.setItemRaw('k', 5, {}))).rejects.toMatchObject({
        code: 'invalid_argument',
      });
      await expect(Promise.resolve(storage.hasItem('a b', {}))).rejects.toMatchObject({ code: 'invalid_argument' });
    });
  });
}
