/** From what a bucket says to the family's errors. */
import { HotpackError, isHotpackError } from '../../../bytes/error.ts';

export function toStorageError(key: string, error: unknown): HotpackError {
  if (isHotpackError(error)) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new HotpackError('storage_unavailable', `the bucket failed: ${message}`, { detail: { key }, cause: error });
}
