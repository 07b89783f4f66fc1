import { describe, expect, it } from 'vitest';
import { createMemoryStorage } from '../../../src/storage/drivers/memory.ts';
import { describeStorageContract } from '../../support/storage-contract.ts';
import { bytesOf } from '../../support/storage-contract/context.ts';

describeStorageContract('memory', async () => {
  const storage = createMemoryStorage();
  return { storage, destroy: () => storage.close() };
});

describe('memory storage', () => {
  it('is full at its limit, and has room again after what was held goes', async () => {
    const storage = createMemoryStorage({ maxBytes: 1000 });
    const full = { code: 'storage_unavailable', detail: { maxBytes: 1000 } };
    await storage.put('a', bytesOf(600));
    await expect(storage.put('b', bytesOf(401))).rejects.toMatchObject(full);
    expect(await storage.head('b')).toEqual({ kind: 'absent' });
    const writer = await storage.openWriter('c');
    await writer.write(bytesOf(400));
    await expect(writer.write(bytesOf(1))).rejects.toMatchObject(full);
    await expect(storage.replaceDocument('d', bytesOf(1), 'absent')).rejects.toMatchObject(full);
    await writer.abort();
    await storage.put('b', bytesOf(400));
    // Replacing counts the difference only.
    await storage.put('a', bytesOf(600, 1));
    await expect(storage.put('a', bytesOf(601))).rejects.toMatchObject(full);
    expect(await storage.readAll('a', 1000)).toEqual({ kind: 'found', bytes: bytesOf(600, 1) });
    await storage.delete(['a', 'b']);
    const large = await storage.openWriter('e');
    await large.write(bytesOf(1000));
    await large.commit();
    await expect(storage.put('f', bytesOf(1))).rejects.toMatchObject(full);
  });

  it('takes its times from the clock it is given', async () => {
    const storage = createMemoryStorage({ now: () => 1234 });
    await storage.put('a', bytesOf(1));
    expect(await storage.head('a')).toMatchObject({ modifiedAtMs: 1234 });
  });
});
