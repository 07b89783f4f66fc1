/**
 * An open object of a bucket: each read is a request for its range, on the condition that the object is still the one that was
 * opened; where it was replaced or deleted the read rejects. A stream is one request, taken up again behind the last byte that
 * came where the connection breaks. Memory: what is read; one chunk of 256 KiB a stream.
 */
import { abortError, raceSignal, throwIfAborted } from '../../../bytes/abort.ts';
import { HotpackError } from '../../../bytes/error.ts';
import { openPieces } from '../../../bytes/pieces.ts';
import { streamFrom } from '../../../bytes/streams.ts';
import type { ObjectInfo, StorageReader } from '../../contract.ts';
import { assertRange } from '../../key.ts';
import type { Bucket, BucketObject, ByteRange } from './bucket.ts';
import { BucketFailure } from './bucket.ts';
import { toStorageError } from './failure.ts';
import { withRetries } from './retry.ts';

const STREAM_CHUNK_BYTES = 256 * 1024;

/** The bytes of a range. With an etag only of the object that has it. */
export async function readRange(
  bucket: Bucket,
  source: { readonly key: string; readonly etag: string | undefined },
  range: ByteRange,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const { key, etag } = source;
  if (range.length === 0) return new Uint8Array();
  return withRetries(
    async () => {
      const found = await bucket.get(key, etag === undefined ? { range } : { range, etag }, signal);
      if (found.kind !== 'body') throw gone();
      const bytes = new Uint8Array(await found.readAll());
      if (bytes.length !== range.length) throw new BucketFailure('a range came short', { isTransient: true });
      return bytes;
    },
    { signal },
  );
}

export function createObjectReader(bucket: Bucket, info: ObjectInfo, object: BucketObject): StorageReader {
  const { key, bytes } = info;
  const closing = new AbortController();
  const assertOpen = (): void => {
    if (closing.signal.aborted) throw abortError(closing.signal);
  };
  async function run<T>(work: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    try {
      return await raceSignal(work(), signal);
    } catch (error) {
      throw toStorageError(key, error);
    }
  }

  async function* chunksOf({ offset, length }: ByteRange, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
    const end = offset + length;
    let at = offset;
    let failed = 0;
    while (at < end) {
      const from = at;
      try {
        for await (const chunk of readBody({ offset: at, length: end - at }, signal)) {
          at += chunk.length;
          yield chunk;
        }
      } catch (error) {
        assertOpen();
        throwIfAborted(signal);
        // Whoever makes progress starts counting anew.
        failed = at > from ? 1 : failed + 1;
        const isOver = !(error instanceof BucketFailure) || !error.isTransient || failed >= BREAKS_IN_A_ROW;
        if (isOver) throw toStorageError(key, error);
      }
    }
  }

  async function* readBody(range: ByteRange, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
    const found = await withRetries(() => bucket.get(object.key, { range, etag: object.etag }, signal), { signal });
    if (found.kind !== 'body') throw gone();
    const take = openChunks(found.stream, range.length);
    try {
      while (true) {
        assertOpen();
        const chunk = await raceSignal(take.next(), signal);
        if (chunk === undefined) return;
        yield chunk;
      }
    } finally {
      take.cancel();
    }
  }

  return {
    kind: 'reader',
    info,
    bytes,
    async read(offset, length, signal) {
      assertOpen();
      assertRange(key, offset, length, bytes);
      throwIfAborted(signal);
      return run(() => readRange(bucket, object, { offset, length }, signal), signal);
    },
    stream(range = { offset: 0, length: bytes }, signal) {
      assertOpen();
      assertRange(key, range.offset, range.length, bytes);
      async function* guarded(): AsyncGenerator<Uint8Array> {
        assertOpen();
        throwIfAborted(signal);
        yield* chunksOf(range, signal);
      }
      return streamFrom(guarded());
    },
    async openBody(range, signal) {
      assertOpen();
      assertRange(key, range.offset, range.length, bytes);
      throwIfAborted(signal);
      if (range.length === 0) return new Blob([]).stream();
      return run(async () => {
        const get = (): ReturnType<Bucket['get']> => bucket.get(object.key, { range, etag: object.etag }, signal);
        const found = await withRetries(get, { signal });
        if (found.kind !== 'body') throw gone();
        return found.stream;
      }, signal);
    },
    async close() {
      closing.abort(new HotpackError('invalid_argument', 'the reader is closed', { detail: { key } }));
    },
  };
}

/** How often in a row a body may break before a byte of it has come. */
const BREAKS_IN_A_ROW = 5;

interface Chunks {
  next(): Promise<Uint8Array | undefined>;
  cancel(): void;
}

/** Chunks of `STREAM_CHUNK_BYTES`, filled in place: the runtimes' own are as small as 4 KiB. */
function openChunks(stream: ReadableStream<Uint8Array>, length: number): Chunks {
  const pieces = openPieces(stream);
  let left = length;
  let rest: Uint8Array | undefined;
  let ended = false;
  const failed = (cause: unknown): BucketFailure => new BucketFailure('a body broke off', { isTransient: true, cause });
  return {
    async next() {
      if (left === 0) return undefined;
      const target = new Uint8Array(Math.min(left, STREAM_CHUNK_BYTES));
      let filled = 0;
      while (filled < target.length) {
        if (rest === undefined || rest.length === 0) {
          rest = await pieces.next().catch((error: unknown) => Promise.reject(failed(error)));
          ended = rest === undefined;
          if (rest === undefined) throw failed(undefined);
        }
        const part = rest.subarray(0, target.length - filled);
        target.set(part, filled);
        filled += part.length;
        rest = rest.subarray(part.length);
      }
      left -= target.length;
      return target;
    },
    cancel() {
      if (!ended) void pieces.cancel().catch(() => undefined);
    },
  };
}

function gone(): BucketFailure {
  return new BucketFailure('the object was replaced or deleted while it was open', { isTransient: false });
}
