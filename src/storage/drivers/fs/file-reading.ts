/** Reading an open file: whole ranges, or streams of them. */
import type { FileHandle } from 'node:fs/promises';
import { abortError, raceSignal, throwIfAborted } from '../../../bytes/abort.ts';
import { HotpackError } from '../../../bytes/error.ts';
import type { ObjectInfo, StorageReader } from '../../contract.ts';
import { assertRange } from '../../key.ts';
import { toStorageError } from './fs-error.ts';
import { InPlaceReads } from './in-place-reads.ts';

/** One read of a stream. Fewer, larger calls: each costs a trip through the thread pool. */
const STREAM_CHUNK_BYTES = 512 * 1024;

/** An array of its own memory whose bytes are not cleared first: every one of them is read into. */
export function uncleared(length: number): Uint8Array {
  const buffer = Buffer.allocUnsafeSlow(length);
  return new Uint8Array(buffer.buffer, buffer.byteOffset, length);
}

/** Fills `target` from `position` on; a file that ends earlier was cut by someone. */
export async function readFully(handle: FileHandle, target: Uint8Array, position: number): Promise<void> {
  let done = 0;
  while (done < target.length) {
    const { bytesRead } = await handle.read(target, done, target.length - done, position + done);
    if (bytesRead === 0) {
      throw new HotpackError('storage_unavailable', 'a file is shorter than it was', {
        detail: { position: position + done },
      });
    }
    done += bytesRead;
  }
}

/** A reader that owns `handle`. `readsInPlace`: see `in-place-reads.ts`. */
export function createFileReader(
  info: ObjectInfo,
  handle: FileHandle,
  { readsInPlace }: { readonly readsInPlace: boolean },
): StorageReader {
  const { key, bytes } = info;
  const inPlace = readsInPlace ? new InPlaceReads(handle.fd) : undefined;
  let closed = false;
  async function read(offset: number, length: number, signal?: AbortSignal, into?: Uint8Array): Promise<Uint8Array> {
    if (closed) throw new HotpackError('invalid_argument', 'the reader is closed', { detail: { key } });
    assertRange(key, offset, length, bytes);
    throwIfAborted(signal);
    const target = into?.subarray(0, length) ?? uncleared(length);
    try {
      if (inPlace?.fill(target, offset) === true) return target;
      await raceSignal(readFully(handle, target, offset), signal);
    } catch (error) {
      throw toStorageError(key, error);
    }
    return target;
  }
  return {
    kind: 'reader',
    info,
    bytes,
    read,
    stream(range = { offset: 0, length: bytes }, signal) {
      assertRange(key, range.offset, range.length, bytes);
      let offset = range.offset;
      const end = range.offset + range.length;
      return new ReadableStream<Uint8Array>(
        {
          async pull(controller) {
            if (signal?.aborted === true) throw abortError(signal);
            const length = Math.min(STREAM_CHUNK_BYTES, end - offset);
            if (length === 0) {
              controller.close();
              return;
            }
            controller.enqueue(await read(offset, length, signal));
            offset += length;
            // At once rather than with the next pull: the consumer's last read then ends the response.
            if (offset === end) controller.close();
          },
        },
        { highWaterMark: 1 },
      );
    },
    async close() {
      if (closed) return;
      closed = true;
      await handle.close();
    },
  };
}
