/**
 * Documents by compare-and-swap without locks. Document `k` is the folder `k@` (no key holds an `@`), whose names say everything:
 *
 *     is-<v>          the value of version v, current
 *     next-<v>        a value that someone wants to make current
 *     was-<v>-to-<w>  v was replaced by w
 *
 * **Replace** v by w: write `next-w` and sync it; rename `is-v` to `was-v-to-w`; *finish*: rename `next-w` to `is-w`, sync the folder,
 * remove `was-v-to-w`. Versions are random and never used twice, so `is-v` is there once and no more: of all who replace v the
 * rename succeeds for one, and for everyone who comes later, however late, it says ENOENT: lost. (With numbered
 * generations and an exclusive creation of n+1, a writer that sleeps until n+1 was replaced and removed would create it again, and
 * reading the folder to find that out can miss a higher generation, since it is not atomic.)
 *
 * **Killed in between**: the value is decided by the rename of `is-v`. Whoever finds `was-v-to-w` and no `is-…` finishes it; every
 * step of finishing may be done by several, since `next-w` is renamed once and then is gone.
 *
 * **Read**: list, open `is-v`. If it opens, v was current at that moment: there is at most one `is-…` at any time, since
 * `next-w` becomes `is-w` only after `is-v` went. If it does not open, or the listing fell between two renames, look again.
 *
 * **Create**: a folder with `is-w` in it is made among the temp files and renamed to `k@`, which fails where one is that is not
 * empty, and in place none is ever empty. **Delete**: the folder is renamed away as a whole. So a document is there exactly while its folder is.
 *
 * A `next-…` that a killed process left is removed with the first replacement after a day.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, open, readdir, rename, rm, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { HotpackError } from '../../../bytes/error.ts';
import { MAX_DOCUMENT_BYTES } from '../../key.ts';
import { readFully, uncleared } from './file-reading.ts';
import { moveInto, syncFolder } from './folders.ts';
import { hasErrno, isAbsence } from './fs-error.ts';

/** Ends the name of a document's folder. */
export const DOCUMENT_SUFFIX = '@';

const ABANDONED_AFTER_MS = 24 * 60 * 60 * 1000;
/** Each failed look means that someone else replaced the document meanwhile. */
const LOOKS = 10_000;
const VERSION_PATTERN = /^[0-9a-f]{24}$/;

export interface CurrentDocument {
  readonly version: string;
  readonly bytes: number;
  readonly modifiedAtMs: number;
}

/** Calls `use` with the current value's file; `undefined` where there is no document. */
async function withCurrent<T>(
  folder: string,
  use: (version: string, path: string) => Promise<T>,
): Promise<T | undefined> {
  for (let look = 0; look < LOOKS; look++) {
    let names: string[];
    try {
      names = await readdir(folder);
    } catch (error) {
      if (isAbsence(error)) return undefined;
      throw error;
    }
    const current = names.find((name) => name.startsWith('is-'));
    if (current === undefined) {
      for (const name of names) if (name.startsWith('was-')) await finish(folder, name);
      continue;
    }
    try {
      return await use(current.slice('is-'.length), join(folder, current));
    } catch (error) {
      if (!isAbsence(error)) throw error;
    }
  }
  throw new HotpackError('storage_unavailable', 'a document without a current version', { detail: { folder } });
}

export function readCurrent(
  folder: string,
): Promise<{ readonly version: string; readonly bytes: Uint8Array } | undefined> {
  return withCurrent(folder, async (version, path) => {
    const handle = await open(path, 'r');
    try {
      const { size } = await handle.stat();
      if (size > MAX_DOCUMENT_BYTES) {
        throw new HotpackError('storage_unavailable', 'a document beyond 1 MiB', { detail: { path, size } });
      }
      const bytes = uncleared(size);
      await readFully(handle, bytes, 0);
      return { version, bytes };
    } finally {
      await handle.close();
    }
  });
}

export function statCurrent(folder: string): Promise<CurrentDocument | undefined> {
  return withCurrent(folder, async (version, path) => {
    const { size, mtimeMs } = await stat(path);
    return { version, bytes: size, modifiedAtMs: Math.floor(mtimeMs) };
  });
}

/** Makes `bytes` the value at `folder` where no document is; `undefined` where one is. `tempFolder` is a path for its own use. */
export async function createDocument(
  folder: string,
  bytes: Uint8Array,
  tempFolder: string,
): Promise<string | undefined> {
  // Saves the writing in the common case; the rename decides.
  if ((await statCurrent(folder)) !== undefined) return undefined;
  const version = newVersion();
  await mkdir(tempFolder);
  try {
    await writeSynced(join(tempFolder, `is-${version}`), bytes);
    await syncFolder(tempFolder);
    await moveInto(folder, () => rename(tempFolder, folder));
    return version;
  } catch (error) {
    await rm(tempFolder, { recursive: true, force: true });
    if (hasErrno(error, 'ENOTEMPTY', 'EEXIST')) return undefined;
    throw error;
  }
}

/** Makes `bytes` the value at `folder` where `expected` is the current version; `undefined` where it is not. */
export async function replaceDocument(
  folder: string,
  bytes: Uint8Array,
  expected: string,
): Promise<string | undefined> {
  if (!VERSION_PATTERN.test(expected)) return undefined;
  const current = join(folder, `is-${expected}`);
  const version = newVersion();
  const next = join(folder, `next-${version}`);
  const replaced = `was-${expected}-to-${version}`;
  try {
    await stat(current);
    await writeSynced(next, bytes);
    await rename(current, join(folder, replaced));
  } catch (error) {
    await unlink(next).catch(() => undefined);
    if (isAbsence(error)) return undefined;
    throw error;
  }
  await finish(folder, replaced);
  await removeAbandoned(folder);
  return version;
}

/** Removes the document; false where there is none. `tempFolder` is a path for its own use. */
export async function deleteDocument(folder: string, tempFolder: string): Promise<boolean> {
  try {
    await rename(folder, tempFolder);
  } catch (error) {
    if (isAbsence(error)) return false;
    throw error;
  }
  await syncFolder(dirname(folder));
  // A replacer that lost may be writing there still.
  await rm(tempFolder, { recursive: true, force: true, maxRetries: 5, retryDelay: 10 });
  return true;
}

/** Carries out what `was-<v>-to-<w>` says. Each step may have been done by another, or the document be deleted. */
async function finish(folder: string, replaced: string): Promise<void> {
  const version = replaced.slice(replaced.lastIndexOf('-') + 1);
  await rename(join(folder, `next-${version}`), join(folder, `is-${version}`)).catch(ignoreAbsence);
  // Before the note goes, so that a power cut cannot keep its removal and lose the rename.
  await syncFolder(folder);
  await unlink(join(folder, replaced)).catch(ignoreAbsence);
}

async function removeAbandoned(folder: string): Promise<void> {
  try {
    for (const name of await readdir(folder)) {
      const path = join(folder, name);
      if (!name.startsWith('next-')) continue;
      if ((await stat(path)).mtimeMs < Date.now() - ABANDONED_AFTER_MS) await unlink(path);
    }
  } catch (error) {
    ignoreAbsence(error);
  }
}

async function writeSynced(path: string, bytes: Uint8Array): Promise<void> {
  const handle = await open(path, 'wx');
  try {
    await handle.writeFile(bytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function newVersion(): string {
  return randomBytes(12).toString('hex');
}

function ignoreAbsence(error: unknown): void {
  if (!isAbsence(error)) throw error;
}
