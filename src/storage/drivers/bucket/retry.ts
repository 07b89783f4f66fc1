/**
 * Tries a call again where the store said that it may help, waiting longer each time: 0.1 s, 0.2 s … 3.2 s, each shortened at random
 * by up to a half, so that those who failed together do not come back together. Six seconds in all at most, plus what
 * the calls take themselves. Timers belong to the call: nothing is shared between callers.
 */
import { abortError, sleep } from '../../../bytes/abort.ts';
import { BucketFailure } from './bucket.ts';

const TRIES = 7;
const FIRST_WAIT_MS = 100;

export interface RetryOptions {
  readonly signal?: AbortSignal | undefined;
  /** Default: 7. */
  readonly tries?: number;
}

/** `work` is told how often it failed before, perhaps after it had taken place. */
export async function withRetries<T>(
  work: (failedBefore: number) => Promise<T>,
  { signal, tries = TRIES }: RetryOptions = {},
): Promise<T> {
  for (let failed = 0; ; failed++) {
    try {
      // oxlint-disable-next-line no-await-in-loop -- one try after the other
      return await work(failed);
    } catch (error) {
      if (signal?.aborted === true) throw abortError(signal);
      if (!(error instanceof BucketFailure) || !error.isTransient || failed + 1 >= tries) throw error;
      // oxlint-disable-next-line no-await-in-loop
      await sleep(FIRST_WAIT_MS * 2 ** failed * (1 - Math.random() / 2), signal);
    }
  }
}
