/**
 * An object in the making: a temp file that is moved under its key by `commit`. Small chunks gather in one buffer of
 * 256 KiB (the only memory held), large ones are written out as they are; `read` serves from the file and the buffer.
 */
import { open, rename, unlink } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { HotpackError } from '../../../bytes/error.ts';
import type { StorageWriter } from '../../contract.ts';
import { assertHead, assertRange } from '../../key.ts';
import { readFully, uncleared } from './file-reading.ts';
import { toStorageError } from './fs-error.ts';
import { moveInto } from './folders.ts';

const BUFFER_BYTES = 256 * 1024;

export interface FileWriterOptions {
  readonly key: string;
  readonly tempPath: string;
  readonly targetPath: string;
  /** Called once, when the writer was committed or aborted. */
  readonly onEnd: (writer: StorageWriter) => void;
}

export async function openFileWriter(options: FileWriterOptions): Promise<StorageWriter> {
  return new FileWriter(options, await open(options.tempPath, 'wx+'));
}

class FileWriter implements StorageWriter {
  readonly key: string;
  readonly #options: FileWriterOptions;
  readonly #handle: FileHandle;
  #state: 'open' | 'failed' | 'committed' | 'aborted' = 'open';
  #aborting: Promise<void> | undefined;
  /** What lies in the file. The buffer holds the bytes from here on. */
  #flushedBytes = 0;
  #buffer: Uint8Array | undefined;
  #bufferedBytes = 0;

  constructor(options: FileWriterOptions, handle: FileHandle) {
    this.key = options.key;
    this.#options = options;
    this.#handle = handle;
  }

  get bytesWritten(): number {
    return this.#flushedBytes + this.#bufferedBytes;
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.#assertOpen();
    if (this.#bufferedBytes + chunk.length <= BUFFER_BYTES && chunk.length < BUFFER_BYTES / 4) {
      this.#buffer ??= uncleared(BUFFER_BYTES);
      this.#buffer.set(chunk, this.#bufferedBytes);
      this.#bufferedBytes += chunk.length;
      return;
    }
    await this.#try(async () => {
      await this.#flush();
      await this.#writeAt(chunk, this.#flushedBytes);
      this.#flushedBytes += chunk.length;
    });
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    if (this.#state === 'committed' || this.#state === 'aborted') throw this.#ended();
    assertRange(this.key, offset, length, this.bytesWritten);
    const target = uncleared(length);
    // Taken before anything is awaited: a write beside this one may flush the buffer and fill it anew.
    const fileBytes = Math.min(length, Math.max(0, this.#flushedBytes - offset));
    if (fileBytes < length) {
      const from = offset + fileBytes - this.#flushedBytes;
      target.set((this.#buffer as Uint8Array).subarray(from, from + length - fileBytes), fileBytes);
    }
    if (fileBytes > 0) {
      try {
        await readFully(this.#handle, target.subarray(0, fileBytes), offset);
      } catch (error) {
        throw toStorageError(this.key, error);
      }
    }
    return target;
  }

  async rewriteHead(bytes: Uint8Array): Promise<void> {
    this.#assertOpen();
    assertHead(this.key, bytes, this.bytesWritten);
    await this.#try(async () => {
      await this.#flush();
      await this.#writeAt(bytes, 0);
    });
  }

  async commit(): Promise<void> {
    this.#assertOpen();
    const { tempPath, targetPath } = this.#options;
    await this.#try(async () => {
      await this.#flush();
      await this.#handle.sync();
      await moveInto(targetPath, () => rename(tempPath, targetPath));
    });
    await this.#end('committed');
  }

  abort(): Promise<void> {
    if (this.#state === 'committed') return Promise.resolve();
    this.#aborting ??= (async () => {
      await this.#end('aborted');
      await unlink(this.#options.tempPath).catch(() => undefined);
    })();
    return this.#aborting;
  }

  async #end(state: 'committed' | 'aborted'): Promise<void> {
    this.#state = state;
    this.#buffer = undefined;
    this.#options.onEnd(this);
    // Waits for reads and writes under way; what they wrote is complete or unwanted.
    await this.#handle.close().catch(() => undefined);
  }

  async #flush(): Promise<void> {
    if (this.#bufferedBytes === 0) return;
    await this.#writeAt((this.#buffer as Uint8Array).subarray(0, this.#bufferedBytes), this.#flushedBytes);
    this.#flushedBytes += this.#bufferedBytes;
    this.#bufferedBytes = 0;
  }

  async #writeAt(bytes: Uint8Array, position: number): Promise<void> {
    let done = 0;
    while (done < bytes.length) {
      const { bytesWritten } = await this.#handle.write(bytes, done, bytes.length - done, position + done);
      done += bytesWritten;
    }
  }

  /** After a failure nobody knows what the file holds: only `abort` is left. */
  async #try(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (this.#state === 'open') this.#state = 'failed';
      throw toStorageError(this.key, error);
    }
  }

  #assertOpen(): void {
    if (this.#state !== 'open') throw this.#ended();
  }

  #ended(): HotpackError {
    return new HotpackError('invalid_argument', `the writer is ${this.#state}`, { detail: { key: this.key } });
  }
}
