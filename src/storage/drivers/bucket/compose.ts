/**
 * One object out of segments that lie in the bucket and a last piece that does not, by a multipart upload: all parts are of one length but
 * the last. Two parts at a time, and the event loop has its turn behind each: a runtime that copies them within the process (workerd
 * over a local bucket) answers nobody else meanwhile. Where the answer to the completion was lost, the object's nonce tells whether it took place.
 */
import { nextTurn } from '../../../bytes/turn.ts';
import { createNonce } from './document-format.ts';
import type { Bucket } from './bucket.ts';
import { withRetries } from './retry.ts';

const PARTS_AT_ONCE = 2;

export async function compose(
  bucket: Bucket,
  object: { readonly key: string; readonly segmentKeys: readonly string[]; readonly last: Uint8Array },
  signal: AbortSignal,
): Promise<void> {
  const { key, segmentKeys, last } = object;
  const nonce = createNonce();
  const upload = await withRetries(() => bucket.openUpload(key, nonce), { signal });
  try {
    const count = segmentKeys.length + (last.length > 0 ? 1 : 0);
    const etags: string[] = [];
    let next = 0;
    const work = async (): Promise<void> => {
      while (next < count) {
        const index = next++;
        const source = segmentKeys[index];
        // oxlint-disable-next-line no-await-in-loop -- as many at once as there are workers
        etags[index] = await withRetries(
          () => (source === undefined ? upload.putPart(index + 1, last) : upload.copyPart(index + 1, source)),
          { signal },
        );
        // oxlint-disable-next-line no-await-in-loop
        await nextTurn();
      }
    };
    await allOrNone(Array.from({ length: PARTS_AT_ONCE }, work));
    await withRetries(
      async (failedBefore) => {
        if (failedBefore > 0 && (await bucket.head(key))?.nonce === nonce) return;
        await upload.complete(etags);
      },
      { signal },
    );
  } catch (error) {
    // What is left of it otherwise is aborted as abandoned later.
    await upload.abort().catch(() => undefined);
    throw error;
  }
}

/** Rejects when all have ended: a part that is still on its way would outlive the abort of its upload. */
async function allOrNone(workers: readonly Promise<void>[]): Promise<void> {
  await Promise.allSettled(workers);
  await Promise.all(workers);
}
