/** From Node's file system errors to the family's. */
import { HotpackError, isHotpackError } from '../../../bytes/error.ts';

/** True where `error` is one of Node's with one of these codes. */
export function hasErrno(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && codes.includes((error as NodeJS.ErrnoException).code ?? '');
}

/** Nothing lies there: no such name, or a file where the path has a folder. */
export function isAbsence(error: unknown): boolean {
  return hasErrno(error, 'ENOENT', 'ENOTDIR');
}

/**
 * `storage_unavailable` for whatever the medium says (ENOSPC, EACCES, EIO, EROFS, EMFILE …); `invalid_argument` where two keys
 * collide because one is a segment-wise prefix of the other.
 */
export function toStorageError(key: string, error: unknown): HotpackError {
  if (isHotpackError(error)) return error;
  if (hasErrno(error, 'EISDIR', 'ENOTDIR', 'ENOTEMPTY')) {
    return new HotpackError('invalid_argument', 'a key that is the beginning of another one', {
      detail: { key },
      cause: error,
    });
  }
  const errno = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return new HotpackError('storage_unavailable', `the file system failed: ${errno ?? String(error)}`, {
    detail: { key, errno },
    cause: error,
  });
}
