/**
 * Blocks in files of a folder, for Node and Deno: a cache that may be lost as a whole or in part at any time. A file's name is the hash
 * of its block's name, its last four bytes are the CRC-32 of the others: what a power cut, a full disk or somebody else made
 * of it is noticed, and the block is read from the store again. Written beside the reads, at most `MAX_WAITING_BYTES` at a time;
 * what comes faster than the disk takes it is not kept. Whatever the disk says, nobody is told: the store has everything. A disk
 * that is full before the bound is reached gets room for the next block from the oldest ones.
 *
 * At most `maxBytes` in files, least recently used out first; after a restart the order is that of their writing. Several
 * processes may share the folder: each holds its own writes to the bound.
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rename, stat, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from '../../bytes/crc32.ts';
import type { Blocks } from '../caching/block-cache.ts';
import { hasErrno } from './fs/fs-error.ts';

const BLOCK_BYTES = 1024 * 1024;
const CRC_BYTES = 4;
const MAX_WAITING_BYTES = 16 * BLOCK_BYTES;
const NAME = /^[0-9a-f]{40}$/;
const LEAVING = /^tmp-/;

export interface DiskBlocksOptions {
  /** Made where it is missing. */
  readonly folder: string;
  readonly maxBytes: number;
}

export async function openDiskBlocks({ folder, maxBytes }: DiskBlocksOptions): Promise<Blocks> {
  /** File name → bytes, the least recently used first. */
  const kept = await readKept(folder);
  let keptBytes = [...kept.values()].reduce((sum, bytes) => sum + bytes, 0);
  let waitingBytes = 0;
  const writing = new Set<Promise<void>>();
  let isClosed = false;

  function note(name: string, bytes: number): void {
    keptBytes += bytes - (kept.get(name) ?? 0);
    kept.delete(name);
    kept.set(name, bytes);
  }
  async function remove(name: string): Promise<void> {
    keptBytes -= kept.get(name) ?? 0;
    kept.delete(name);
    await unlink(join(folder, name)).catch(() => undefined);
  }
  async function holdTo(bytes: number): Promise<void> {
    for (const [oldest] of kept) {
      if (keptBytes <= bytes) return;
      // oxlint-disable-next-line no-await-in-loop -- one file at a time beside the reads
      await remove(oldest);
    }
  }
  async function write(name: string, bytes: Uint8Array): Promise<void> {
    const temp = join(folder, `tmp-${randomBytes(8).toString('hex')}`);
    const file = new Uint8Array(bytes.length + CRC_BYTES);
    file.set(bytes);
    new DataView(file.buffer).setUint32(bytes.length, crc32(bytes));
    try {
      await mkdir(folder, { recursive: true });
      await writeFile(temp, file);
      await rename(temp, join(folder, name));
      note(name, file.length);
      await holdTo(maxBytes);
    } catch (error) {
      await unlink(temp).catch(() => undefined);
      if (hasErrno(error, 'ENOSPC', 'EDQUOT')) await holdTo(keptBytes - file.length);
    }
  }

  return {
    blockBytes: BLOCK_BYTES,
    async get(id) {
      const name = nameOf(id);
      let file: Uint8Array;
      try {
        file = await readFile(join(folder, name));
      } catch {
        keptBytes -= kept.get(name) ?? 0;
        kept.delete(name);
        return undefined;
      }
      const bytes = file.subarray(0, Math.max(0, file.length - CRC_BYTES));
      const isWhole =
        file.length >= CRC_BYTES && new DataView(file.buffer, file.byteOffset).getUint32(bytes.length) === crc32(bytes);
      if (!isWhole) {
        await remove(name);
        return undefined;
      }
      note(name, file.length);
      return bytes;
    },
    put(id, bytes) {
      const name = nameOf(id);
      if (isClosed || bytes.length + CRC_BYTES > maxBytes || waitingBytes + bytes.length > MAX_WAITING_BYTES) return;
      waitingBytes += bytes.length;
      const written = write(name, bytes).finally(() => {
        waitingBytes -= bytes.length;
        writing.delete(written);
      });
      writing.add(written);
    },
    async close() {
      isClosed = true;
      await Promise.all(writing);
    },
  };
}

function nameOf(id: string): string {
  return createHash('sha1').update(id).digest('hex');
}

/** What lies there from before, oldest first; what was in the making is removed. */
async function readKept(folder: string): Promise<Map<string, number>> {
  await mkdir(folder, { recursive: true }).catch(() => undefined);
  const found: { readonly name: string; readonly bytes: number; readonly atMs: number }[] = [];
  for (const name of await readdir(folder).catch(() => [])) {
    // oxlint-disable-next-line no-await-in-loop -- at the start, before anything is served
    const stats = NAME.test(name) ? await stat(join(folder, name)).catch(() => undefined) : undefined;
    if (stats !== undefined) found.push({ name, bytes: stats.size, atMs: stats.mtimeMs });
    // oxlint-disable-next-line no-await-in-loop
    else if (LEAVING.test(name)) await unlink(join(folder, name)).catch(() => undefined);
  }
  found.sort((left, right) => left.atMs - right.atMs);
  return new Map(found.map(({ name, bytes }) => [name, bytes]));
}
