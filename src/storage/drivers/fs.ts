/**
 * The contract over a folder. An object is the file at its key's path, so that a mirror is a bare repository that git reads;
 * a document is a folder of versions beside it (fs/documents.ts). Everything is written under `tmp/` (fs/temp-folder.ts), synced and
 * then moved, so what is visible is whole, also after `kill -9` or a power cut. Any number of processes and threads may open
 * the same folder. Memory: 256 KiB a writer, two chunks of 512 KiB a stream.
 */
import { statfs as statfsWithCallback } from 'node:fs';
import { link, lstat, mkdir, open, rename, stat, unlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { raceSignal, throwIfAborted } from '../../bytes/abort.ts';
import { HotpackError } from '../../bytes/error.ts';
import { ABSENT } from '../contract.ts';
import type {
  Absent,
  Found,
  FoundDocument,
  ListPage,
  ObjectInfo,
  PageRequest,
  Replacement,
  Storage,
  StorageReader,
  StorageWriter,
} from '../contract.ts';
import { assertDocumentBytes, assertKey, assertPrefix, assertTakes, resolvePageLimit } from '../key.ts';
import { CallGate } from './call-gate.ts';
import { createDocument, deleteDocument, DOCUMENT_SUFFIX, readCurrent, replaceDocument } from './fs/documents.ts';
import { createFileReader } from './fs/file-reading.ts';
import { openFileWriter } from './fs/file-writer.ts';
import { moveInto, removeEmptyFolders, syncFolder } from './fs/folders.ts';
import { hasErrno, isAbsence, toStorageError } from './fs/fs-error.ts';
import { describe, walkKeys } from './fs/listing.ts';
import { openTempFolder } from './fs/temp-folder.ts';
import type { TempFolder } from './fs/temp-folder.ts';
import { withUnstorageDriver } from './unstorage-driver.ts';
import type { DriverStorage } from './unstorage-driver.ts';

/** Deno 2.5.0 has it in this form alone. */
const statfs = promisify(statfsWithCallback);

export interface FsStorageOptions {
  /** Absolute, or relative to the working directory; made where it is missing. */
  readonly folder: string;
  /** For a thread that has nobody else to attend to: small reads do not go through the thread pool while they find what they read in the page cache. */
  readonly readsInPlace?: boolean;
}

/** Opens the folder and removes what killed processes left in the making. Rejects with `storage_unavailable`. */
export async function openFsStorage(options: FsStorageOptions): Promise<DriverStorage> {
  const root = resolve(options.folder);
  try {
    await mkdir(root, { recursive: true });
    return withUnstorageDriver('hotpack-fs', new FsStorage(root, await openTempFolder(root), options));
  } catch (error) {
    throw new HotpackError('storage_unavailable', `the folder ${root} cannot be used`, {
      detail: { folder: root },
      cause: error,
    });
  }
}

/** How many files of a page are looked at side by side. */
const STATS_AT_ONCE = 32;

class FsStorage implements Storage {
  readonly #root: string;
  readonly #temp: TempFolder;
  readonly #readsInPlace: boolean;
  readonly #gate = new CallGate(toStorageError);

  constructor(root: string, temp: TempFolder, { readsInPlace = false }: FsStorageOptions) {
    this.#root = root;
    this.#temp = temp;
    this.#readsInPlace = readsInPlace;
  }

  head(key: string, signal?: AbortSignal): Promise<ObjectInfo | Absent> {
    return this.#run(key, signal, async (path) => {
      try {
        const stats = await stat(path);
        return stats.isFile() ? infoOf(key, stats) : ABSENT;
      } catch (error) {
        if (isAbsence(error)) return ABSENT;
        throw error;
      }
    });
  }

  async readAll(key: string, maxBytes: number, signal?: AbortSignal): Promise<Found | Absent> {
    const reader = await this.open(key, signal);
    if (reader.kind === 'absent') return ABSENT;
    try {
      const { bytes } = reader;
      assertTakes(key, bytes, maxBytes);
      return { kind: 'found', bytes: await reader.read(0, bytes, signal) };
    } finally {
      await reader.close();
    }
  }

  async open(key: string, signal?: AbortSignal): Promise<StorageReader | Absent> {
    const opening = this.#run(key, undefined, async (path): Promise<StorageReader | Absent> => {
      let handle;
      try {
        handle = await open(path, 'r');
        const stats = await handle.stat();
        if (stats.isFile()) return createFileReader(infoOf(key, stats), handle, { readsInPlace: this.#readsInPlace });
        await handle.close();
        return ABSENT;
      } catch (error) {
        await handle?.close();
        if (isAbsence(error)) return ABSENT;
        throw error;
      }
    });
    try {
      return await raceSignal(opening, signal);
    } catch (error) {
      // A file that opens after its caller left must not stay open.
      void opening.then((reader) => (reader.kind === 'reader' ? reader.close() : undefined)).catch(() => undefined);
      throw error;
    }
  }

  put(key: string, bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    return this.#run(key, signal, async (path) => {
      await this.#withTempFile(bytes, signal, (temp) => moveInto(path, () => rename(temp, path)));
    });
  }

  create(key: string, bytes: Uint8Array, signal?: AbortSignal): Promise<'created' | 'exists'> {
    return this.#run(key, signal, async (path) => {
      try {
        // Saves the writing in the common case; the link decides.
        if (await isThere(path)) return 'exists';
        await this.#withTempFile(bytes, signal, async (temp) => {
          await moveInto(path, () => link(temp, path));
          await unlink(temp).catch(() => undefined);
        });
        return 'created';
      } catch (error) {
        if (hasErrno(error, 'EEXIST')) return 'exists';
        throw error;
      }
    });
  }

  openWriter(key: string, signal?: AbortSignal): Promise<StorageWriter> {
    return this.#run(key, undefined, async (targetPath) => {
      throwIfAborted(signal);
      const writer = await openFileWriter({
        key,
        tempPath: await this.#temp.next(),
        targetPath,
        onEnd: (ended) => this.#gate.writers.delete(ended),
      });
      try {
        this.#gate.assertOpen(signal);
      } catch (error) {
        await writer.abort();
        throw error;
      }
      this.#gate.writers.add(writer);
      return writer;
    });
  }

  readDocument(key: string, signal?: AbortSignal): Promise<FoundDocument | Absent> {
    return this.#run(key, signal, async (path) => {
      const current = await readCurrent(path + DOCUMENT_SUFFIX);
      return current === undefined ? ABSENT : { kind: 'found', ...current };
    });
  }

  replaceDocument(key: string, bytes: Uint8Array, expected: string, signal?: AbortSignal): Promise<Replacement> {
    // Not raced against the signal: whoever is told `aborted` must be sure that nothing was replaced.
    return this.#run(key, undefined, async (path) => {
      throwIfAborted(signal);
      assertDocumentBytes(key, bytes);
      const folder = path + DOCUMENT_SUFFIX;
      const version =
        expected === 'absent'
          ? await createDocument(folder, bytes, await this.#temp.next())
          : await replaceDocument(folder, bytes, expected);
      return version === undefined ? { kind: 'lost' } : { kind: 'replaced', version };
    });
  }

  async list(prefix: string, page: PageRequest = {}, signal?: AbortSignal): Promise<ListPage> {
    assertPrefix(prefix);
    const limit = resolvePageLimit(page.limit);
    this.#gate.assertOpen();
    const objects: ObjectInfo[] = [];
    let batch: Promise<ObjectInfo | undefined>[] = [];
    const settle = async (): Promise<void> => {
      for (const info of await Promise.all(batch)) if (info !== undefined) objects.push(info);
      batch = [];
    };
    try {
      for await (const found of walkKeys(this.#root, prefix, page.after ?? '')) {
        throwIfAborted(signal);
        if (batch.length === STATS_AT_ONCE || objects.length + batch.length === limit) await settle();
        const last = objects.at(-1);
        if (objects.length === limit && last !== undefined) return { objects, next: last.key };
        batch.push(describe(this.#root, found));
      }
      await settle();
      return { objects };
    } catch (error) {
      throw toStorageError(prefix, error);
    } finally {
      await Promise.allSettled(batch);
    }
  }

  async delete(keys: readonly string[], signal?: AbortSignal): Promise<void> {
    for (const key of keys) assertKey(key);
    this.#gate.assertOpen();
    const folders = new Set<string>();
    try {
      for (const key of keys) {
        throwIfAborted(signal);
        await this.#run(key, undefined, async (path) => {
          if (await this.#deleteOne(path)) folders.add(dirname(key));
        });
      }
    } finally {
      for (const folder of folders) {
        await syncFolder(join(this.#root, folder));
        await removeEmptyFolders(this.#root, folder);
      }
    }
  }

  async probe(signal?: AbortSignal): Promise<void> {
    this.#gate.assertOpen(signal);
    const probing = (async () => {
      const temp = await this.#temp.next();
      const handle = await open(temp, 'wx');
      try {
        await handle.write('hotpack');
      } finally {
        await handle.close();
        await unlink(temp);
      }
    })();
    await raceSignal(probing, signal).catch((error: unknown) => {
      throw toStorageError('tmp', error);
    });
  }

  async volumeBytes(): Promise<number> {
    try {
      const { blocks, bsize } = await statfs(this.#root);
      return blocks * bsize;
    } catch (error) {
      throw toStorageError('', error);
    }
  }

  async close(): Promise<void> {
    if (await this.#gate.close()) await this.#temp.remove();
  }

  /** True where something was there. */
  async #deleteOne(path: string): Promise<boolean> {
    try {
      await unlink(path);
      return true;
    } catch (error) {
      // EISDIR, on some systems EPERM: a folder that is no object.
      if (!isAbsence(error) && !hasErrno(error, 'EISDIR', 'EPERM')) throw error;
    }
    const folder = path + DOCUMENT_SUFFIX;
    return (await isThere(folder)) && (await deleteDocument(folder, await this.#temp.next()));
  }

  /** Writes a synced temp file; whatever `move` leaves of it is removed when it fails. */
  async #withTempFile(
    bytes: Uint8Array,
    signal: AbortSignal | undefined,
    move: (temp: string) => Promise<void>,
  ): Promise<void> {
    const temp = await this.#temp.next();
    try {
      const handle = await open(temp, 'wx');
      try {
        await handle.writeFile(bytes);
        await handle.sync();
      } finally {
        await handle.close();
      }
      throwIfAborted(signal);
      await move(temp);
    } catch (error) {
      await unlink(temp).catch(() => undefined);
      throw error;
    }
  }

  #run<T>(key: string, signal: AbortSignal | undefined, work: (path: string) => Promise<T>): Promise<T> {
    return this.#gate.run(key, signal, () => work(join(this.#root, key)));
  }
}

function infoOf(key: string, stats: { readonly size: number; readonly mtimeMs: number }): ObjectInfo {
  return { kind: 'object', key, bytes: stats.size, modifiedAtMs: Math.floor(stats.mtimeMs) };
}

async function isThere(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (isAbsence(error)) return false;
    throw error;
  }
}
