/**
 * Keys of a folder tree, in order and from a given one on. A folder's names are sorted as the keys below them sort (a
 * folder `a` as `a/`, so after the file `a-b`), and a folder is entered only if it can hold a key of the page. Only what
 * goes onto the page is stat'ed. Memory: the names of one folder a level.
 */
import { lstat, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { ObjectInfo } from '../../contract.ts';
import { isKeySegment } from '../../key.ts';
import { DOCUMENT_SUFFIX, statCurrent } from './documents.ts';
import { isAbsence } from './fs-error.ts';
import { TEMP_FOLDER } from './temp-folder.ts';

interface Found {
  readonly kind: 'object' | 'document' | 'folder';
  /** Of a folder: with the slash after it. */
  readonly key: string;
}

/** Names of objects and documents under `root` that start with `prefix` and lie after `after`, in order. */
export async function* walkKeys(root: string, prefix: string, after: string): AsyncGenerator<Found, void, void> {
  yield* walkFolder(root, prefix.slice(0, prefix.lastIndexOf('/') + 1), prefix, after);
}

async function* walkFolder(
  root: string,
  folder: string,
  prefix: string,
  after: string,
): AsyncGenerator<Found, void, void> {
  for (const found of await readFolder(root, folder)) {
    const { kind, key } = found;
    if (kind === 'folder') {
      const mayMatch = key.startsWith(prefix) || prefix.startsWith(key);
      const mayFollow = key > after || after.startsWith(key);
      if (mayMatch && mayFollow) yield* walkFolder(root, key, prefix, after);
    } else if (key.startsWith(prefix) && key > after) {
      yield found;
    }
  }
}

async function readFolder(root: string, folder: string): Promise<Found[]> {
  const found: Found[] = [];
  let entries;
  try {
    entries = await readdir(join(root, folder), { withFileTypes: true });
  } catch (error) {
    if (isAbsence(error)) return found;
    throw error;
  }
  for (const entry of entries) {
    const { name } = entry;
    if (folder === '' && name === TEMP_FOLDER) continue;
    // Some file systems do not say in a folder what a name stands for.
    const told = entry.isFile() || entry.isDirectory() || entry.isSymbolicLink();
    const type = told ? entry : await lstat(join(root, folder, name)).catch(() => entry);
    const document = name.endsWith(DOCUMENT_SUFFIX) ? name.slice(0, -DOCUMENT_SUFFIX.length) : undefined;
    if (document !== undefined && isKeySegment(document) && type.isDirectory()) {
      found.push({ kind: 'document', key: folder + document });
    } else if (isKeySegment(name) && type.isDirectory()) {
      found.push({ kind: 'folder', key: `${folder}${name}/` });
    } else if (isKeySegment(name) && type.isFile()) {
      found.push({ kind: 'object', key: folder + name });
    }
  }
  return found.sort((left, right) => (left.key < right.key ? -1 : 1));
}

/** What `list` says of one; `undefined` where it went meanwhile. */
export async function describe(root: string, { kind, key }: Found): Promise<ObjectInfo | undefined> {
  if (kind === 'document') {
    const current = await statCurrent(join(root, key + DOCUMENT_SUFFIX));
    if (current === undefined) return undefined;
    return { kind, key, bytes: current.bytes, modifiedAtMs: current.modifiedAtMs };
  }
  try {
    const { size, mtimeMs } = await stat(join(root, key));
    return { kind: 'object', key, bytes: size, modifiedAtMs: Math.floor(mtimeMs) };
  } catch (error) {
    if (isAbsence(error)) return undefined;
    throw error;
  }
}
