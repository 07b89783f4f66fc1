/** What processes that were killed left in the making: segments under `tmp/`, and multipart uploads. */
import type { Bucket } from './bucket.ts';
import { withRetries } from './retry.ts';

/** First segment of the keys of everything in the making. */
export const TEMP_PREFIX = 'tmp/';
/** No object is in the making for as long: its segments would be taken from it. */
const ABANDONED_AFTER_MS = 24 * 60 * 60 * 1000;

/** Removes what is a day old. Resolves with how many objects that were. */
export async function removeAbandoned(bucket: Bucket, nowMs: number, signal?: AbortSignal): Promise<number> {
  const beforeMs = nowMs - ABANDONED_AFTER_MS;
  let removed = 0;
  let cursor: string | undefined;
  do {
    const query = { prefix: TEMP_PREFIX, after: '', cursor, limit: 1000 };
    // oxlint-disable-next-line no-await-in-loop -- page after page
    const page = await withRetries(() => bucket.list(query, signal), { signal });
    const keys = page.objects.filter((object) => object.modifiedAtMs < beforeMs).map((object) => object.key);
    // oxlint-disable-next-line no-await-in-loop
    if (keys.length > 0) await withRetries(() => bucket.delete(keys), { signal });
    removed += keys.length;
    cursor = page.cursor;
  } while (cursor !== undefined);
  await withRetries(async () => bucket.abortUploadsBefore?.(beforeMs, signal), { signal });
  return removed;
}
