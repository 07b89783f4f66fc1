/** A writer on a plain file, for measuring the engine without a storage driver's own cost. */
import type { FileHandle } from 'node:fs/promises';
import { open, rm } from 'node:fs/promises';
import type { StorageWriter } from '../../src/storage/contract.ts';

export async function openFileWriter(path: string): Promise<StorageWriter & { close(): Promise<void> }> {
  const file: FileHandle = await open(path, 'w+');
  let written = 0;
  return {
    key: path,
    get bytesWritten(): number {
      return written;
    },
    async write(chunk) {
      await file.write(chunk, 0, chunk.length, written);
      written += chunk.length;
    },
    async read(offset, length) {
      const bytes = new Uint8Array(length);
      const { bytesRead } = await file.read(bytes, 0, length, offset);
      if (bytesRead !== length) throw new RangeError(`read beyond the end of ${path}`);
      return bytes;
    },
    async rewriteHead(bytes) {
      await file.write(bytes, 0, bytes.length, 0);
    },
    async commit() {
      await file.sync();
    },
    async abort() {
      await file.close();
      await rm(path, { force: true });
    },
    close: () => file.close(),
  };
}
