import { expect, test } from 'vitest';
import type { Bucket } from '../../../src/storage/drivers/bucket/bucket.ts';
import { compose } from '../../../src/storage/drivers/bucket/compose.ts';
import { turnsDuring } from '../../support/turns.ts';

test('others have their turn between parts that are always copied at once, and the parts stay in order', async () => {
  let whole: readonly string[] = [];
  const upload: Awaited<ReturnType<Bucket['openUpload']>> = {
    copyPart: async (number, sourceKey) => `${number} ${sourceKey}`,
    putPart: async (number, bytes) => `${number} ${bytes.length} bytes`,
    complete: async (etags) => void (whole = etags),
    abort: async () => undefined,
  };
  const bucket = { openUpload: async () => upload } as unknown as Bucket;
  const segmentKeys = Array.from({ length: 16 }, (_, n) => `tmp/${n}`);
  const { signal } = new AbortController();
  const turns = await turnsDuring(compose(bucket, { key: 'whole', segmentKeys, last: new Uint8Array(3) }, signal));
  expect(turns).toBeGreaterThanOrEqual(8);
  expect(whole).toEqual([...segmentKeys.map((key, n) => `${n + 1} ${key}`), '17 3 bytes']);
});
