/**
 * Folders come with the first thing put into them and go with the last. Several processes do both at once, so whoever moves
 * something into a folder goes through `moveInto`, which makes the folder again where it vanished in between.
 */
import { mkdir, open, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { hasErrno, isAbsence } from './fs-error.ts';

/** How often a folder may vanish under a mover before that counts as the medium's failure. */
const MOVE_ATTEMPTS = 1000;

/**
 * Runs `move`, which puts something at `target`, and makes it durable: the folder of `target` and every folder
 * that had to be made are synced. `move` is run again after ENOENT, so it MUST have no effect when it fails.
 */
export async function moveInto<T>(target: string, move: () => Promise<T>): Promise<T> {
  const folder = dirname(target);
  let topmostMade: string | undefined;
  for (let attempt = 1; ; attempt++) {
    try {
      const result = await move();
      await syncFoldersUpTo(folder, topmostMade);
      return result;
    } catch (error) {
      if (!hasErrno(error, 'ENOENT') || attempt === MOVE_ATTEMPTS) throw error;
      const made = await makeFolder(folder);
      if (made !== undefined && (topmostMade === undefined || made.length < topmostMade.length)) topmostMade = made;
      // The folder was there and stays: then the source is missing, and no attempt helps.
      if (made === undefined && attempt > MISSING_SOURCE_ATTEMPTS) throw error;
    }
  }
}

/** A vanishing folder can be back before it is made; as often in a row it is not the folder that is missing. */
const MISSING_SOURCE_ATTEMPTS = 20;

/** Makes `folder`; returns the topmost one that was missing. */
async function makeFolder(folder: string): Promise<string | undefined> {
  try {
    return await mkdir(folder, { recursive: true });
  } catch (error) {
    // Removed by someone while the next level was being made (Node says ENOTDIR where it saw a folder and then did not): the
    // caller tries again. Where a file really is in the way, `move` says so itself.
    if (hasErrno(error, 'ENOENT', 'ENOTDIR', 'EEXIST')) return folder;
    throw error;
  }
}

/** Syncs `folder`, and the folders above it up to the one that `topmostMade` lies in. */
async function syncFoldersUpTo(folder: string, topmostMade: string | undefined): Promise<void> {
  const last = topmostMade === undefined ? folder : dirname(topmostMade);
  for (let at = folder; ; at = dirname(at)) {
    await syncFolder(at);
    if (at === last || at === dirname(at)) return;
  }
}

/** Makes names in `folder` durable. A folder that is gone has none. */
export async function syncFolder(folder: string): Promise<void> {
  let handle;
  try {
    handle = await open(folder, 'r');
    await handle.sync();
  } catch (error) {
    if (!isAbsence(error)) throw error;
  } finally {
    await handle?.close();
  }
}

/** Removes the folders on the way from `root` (which stays) to `relative`, deepest first, as far as they are empty. */
export async function removeEmptyFolders(root: string, relative: string): Promise<void> {
  for (let at = relative; at !== '' && at !== '.'; at = dirname(at)) {
    try {
      await rmdir(join(root, at));
    } catch (error) {
      if (!isAbsence(error)) return;
    }
  }
}
