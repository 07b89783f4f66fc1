import { beforeEach, describe, expect, it } from 'vitest';
import type { DriverStorage } from '../../../src/storage/drivers/unstorage-driver.ts';
import { bytesOf } from './context.ts';
import type { ContractContext, StorageUnderTest } from './context.ts';

export function describeLifecycleCases(context: ContractContext): void {
  const { keysUnder } = context;
  let storage: DriverStorage;
  let under: StorageUnderTest;
  beforeEach(() => {
    storage = context.under.storage;
    under = context.under;
  });

  describe('abort, probe and close', () => {
    it('rejects with aborted and does nothing where the signal has fired', async () => {
      const traces = await under.countTraces?.();
      const signal = AbortSignal.abort();
      const aborted = { code: 'aborted' };
      await expect(storage.put('k', bytesOf(1), signal)).rejects.toMatchObject(aborted);
      await expect(storage.create('k', bytesOf(1), signal)).rejects.toMatchObject(aborted);
      await expect(storage.openWriter('k', signal)).rejects.toMatchObject(aborted);
      await expect(storage.replaceDocument('k', bytesOf(1), 'absent', signal)).rejects.toMatchObject(aborted);
      await expect(storage.head('k', signal)).rejects.toMatchObject(aborted);
      await expect(storage.open('k', signal)).rejects.toMatchObject(aborted);
      await expect(storage.readAll('k', 1, signal)).rejects.toMatchObject(aborted);
      await expect(storage.readDocument('k', signal)).rejects.toMatchObject(aborted);
      await expect(storage.probe(signal)).rejects.toMatchObject(aborted);
      await storage.put('k', bytesOf(1));
      await expect(storage.list('', {}, signal)).rejects.toMatchObject(aborted);
      await expect(storage.delete(['k'], signal)).rejects.toMatchObject(aborted);
      expect(await keysUnder('')).toEqual(['k']);
      await storage.delete(['k']);
      expect(await under.countTraces?.()).toEqual(traces);
    });

    it('probes without a trace', async () => {
      const traces = await under.countTraces?.();
      await storage.probe();
      expect(await under.countTraces?.()).toEqual(traces);
      expect(await keysUnder('')).toEqual([]);
    });

    it('aborts outstanding writers at close and answers no more', async () => {
      const writer = await storage.openWriter('w');
      await writer.write(bytesOf(100_000));
      await storage.close();
      await storage.close();
      await expect(writer.commit()).rejects.toMatchObject({ code: 'invalid_argument' });
      await expect(storage.head('w')).rejects.toMatchObject({ code: 'storage_unavailable' });
      await expect(storage.list('')).rejects.toMatchObject({ code: 'storage_unavailable' });
      await expect(storage.probe()).rejects.toMatchObject({ code: 'storage_unavailable' });
    });
  });
}
