/**
 * An object in the making. The parts of a multipart upload cannot be read before it is complete, and its head cannot be rewritten, but
 * who writes a pack reads it back meanwhile. So bytes gather to segments of equal length, and each full one is an object of
 * its own under `tmp/<writer>/`; `commit` makes the object out of them by a multipart upload whose parts the store
 * copies from the segments: they pass through no memory of ours, and on S3 over no network of ours. What is smaller
 * than a segment is one put. Written twice inside the store, at a cost of three requests a segment; scratch files that
 * are never committed cost one.
 *
 * Memory: three segments: one that fills, two on their way. (It begins small: most objects are.)
 */
import { raceSignal } from '../../../bytes/abort.ts';
import { HotpackError } from '../../../bytes/error.ts';
import type { StorageWriter } from '../../contract.ts';
import { assertHead, assertRange } from '../../key.ts';
import type { Bucket } from './bucket.ts';
import { compose } from './compose.ts';
import { toStorageError } from './failure.ts';
import { readRange } from './object-reader.ts';
import { withRetries } from './retry.ts';

const SEGMENTS_ON_THEIR_WAY = 2;
const FIRST_BUFFER_BYTES = 64 * 1024;
/** Multipart uploads have at most as many parts. */
const MAX_SEGMENTS = 10_000;

export interface ObjectWriterOptions {
  readonly bucket: Bucket;
  readonly key: string;
  /** Begins the keys of segments; nobody else has it. */
  readonly tempPrefix: string;
  /** At least 5 MiB, since the store takes no smaller parts. */
  readonly segmentBytes: number;
  /** Called once, when the writer was committed or aborted. */
  readonly onEnd: (writer: StorageWriter) => void;
}

interface Segment {
  readonly key: string;
  /** Until it is stored. */
  bytes: Uint8Array | undefined;
  /** Resolves when it is; never rejects. */
  readonly stored: Promise<void>;
}

export class ObjectWriter implements StorageWriter {
  readonly key: string;
  readonly #options: ObjectWriterOptions;
  readonly #segments: Segment[] = [];
  /** Every key that was ever written to. */
  readonly #tempKeys: string[] = [];
  readonly #stopping = new AbortController();
  #state: 'open' | 'failed' | 'committed' | 'aborted' = 'open';
  #failure: unknown;
  #aborting: Promise<void> | undefined;
  #buffer = new Uint8Array(0);
  #buffered = 0;

  constructor(options: ObjectWriterOptions) {
    this.key = options.key;
    this.#options = options;
  }

  get bytesWritten(): number {
    return this.#segments.length * this.#options.segmentBytes + this.#buffered;
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.#assertOpen();
    const { segmentBytes } = this.#options;
    for (let at = 0; at < chunk.length;) {
      this.#makeRoom(chunk.length - at);
      const part = chunk.subarray(at, at + this.#buffer.length - this.#buffered);
      this.#buffer.set(part, this.#buffered);
      this.#buffered += part.length;
      at += part.length;
      if (this.#buffered < segmentBytes) continue;
      this.#seal();
      // oxlint-disable-next-line no-await-in-loop -- back-pressure
      await this.#settle(SEGMENTS_ON_THEIR_WAY - 1);
      this.#assertOpen();
    }
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    if (this.#state === 'committed' || this.#state === 'aborted') throw this.#ended();
    assertRange(this.key, offset, length, this.bytesWritten);
    const target = new Uint8Array(length);
    const { bucket, segmentBytes } = this.#options;
    const signal = this.#stopping.signal;
    // What is in memory is taken before anything is awaited: a write beside this read moves it.
    const reads: Promise<void>[] = [];
    for (let done = 0; done < length;) {
      const index = Math.floor((offset + done) / segmentBytes);
      const from = (offset + done) % segmentBytes;
      const count = Math.min(segmentBytes - from, length - done);
      const part = target.subarray(done, done + count);
      const segment = this.#segments[index];
      const inMemory = segment === undefined ? this.#buffer : segment.bytes;
      if (inMemory !== undefined) part.set(inMemory.subarray(from, from + count));
      else {
        const source = { key: (segment as Segment).key, etag: undefined };
        reads.push(readRange(bucket, source, { offset: from, length: count }, signal).then((bytes) => part.set(bytes)));
      }
      done += count;
    }
    await this.#try(() => Promise.all(reads));
    return target;
  }

  async rewriteHead(bytes: Uint8Array): Promise<void> {
    this.#assertOpen();
    assertHead(this.key, bytes, this.bytesWritten);
    const first = this.#segments[0];
    if (first === undefined) {
      this.#buffer.set(bytes);
      return;
    }
    await this.#settle(0);
    this.#assertOpen();
    const segment = await this.read(0, this.#options.segmentBytes);
    segment.set(bytes);
    // Under a new key: stores take few writes a second to the same one.
    this.#segments[0] = this.#store(segment);
    await this.#settle(0);
    this.#assertOpen();
  }

  async commit(): Promise<void> {
    this.#assertOpen();
    const { bucket, key } = this.#options;
    const last = this.#buffer.subarray(0, this.#buffered);
    await this.#try(async () => {
      if (this.#segments.length === 0) {
        await withRetries(() => bucket.put(key, last, {}), { signal: this.#stopping.signal });
        return;
      }
      await this.#settle(0);
      this.#assertOpen();
      const segmentKeys = this.#segments.map((segment) => segment.key);
      await compose(bucket, { key, segmentKeys, last }, this.#stopping.signal);
    });
    this.#end('committed');
    await this.#removeSegments();
  }

  abort(): Promise<void> {
    if (this.#state === 'committed') return Promise.resolve();
    this.#aborting ??= (async () => {
      this.#end('aborted');
      this.#stopping.abort(this.#ended());
      // A put that is under way takes place; only then can it be removed.
      await this.#settle(0);
      await this.#removeSegments();
    })();
    return this.#aborting;
  }

  #makeRoom(more: number): void {
    if (this.#buffered < this.#buffer.length) return;
    const { segmentBytes } = this.#options;
    if (this.#segments.length >= MAX_SEGMENTS - 1) {
      throw new HotpackError('limit_exceeded', 'an object of more parts than an upload has', {
        detail: { key: this.key, maxBytes: MAX_SEGMENTS * segmentBytes },
      });
    }
    const needed = Math.max(FIRST_BUFFER_BYTES, this.#buffer.length * 2, this.#buffered + more);
    const larger = new Uint8Array(Math.min(segmentBytes, needed));
    larger.set(this.#buffer.subarray(0, this.#buffered));
    this.#buffer = larger;
  }

  /** The full buffer becomes a segment. */
  #seal(): void {
    this.#segments.push(this.#store(this.#buffer));
    this.#buffer = new Uint8Array(0);
    this.#buffered = 0;
  }

  #store(bytes: Uint8Array): Segment {
    const { bucket, tempPrefix } = this.#options;
    const key = `${tempPrefix}${this.#tempKeys.length}`;
    this.#tempKeys.push(key);
    const putting = withRetries(() => bucket.put(key, bytes, {}), { signal: this.#stopping.signal });
    const segment: Segment = {
      key,
      bytes,
      stored: putting.then(
        () => void (segment.bytes = undefined),
        (error: unknown) => this.#fail(error),
      ),
    };
    return segment;
  }

  /** Waits until at most `remaining` segments are on their way, or one has failed. */
  async #settle(remaining: number): Promise<void> {
    while (this.#state !== 'failed') {
      const underWay = this.#segments.filter((segment) => segment.bytes !== undefined);
      if (underWay.length <= remaining) return;
      // oxlint-disable-next-line no-await-in-loop
      await Promise.race(underWay.map((segment) => segment.stored));
      if (this.#state === 'aborted') break;
    }
    await Promise.all(this.#segments.map((segment) => segment.stored));
  }

  async #removeSegments(): Promise<void> {
    const { bucket } = this.#options;
    for (let at = 0; at < this.#tempKeys.length; at += 1000) {
      const keys = this.#tempKeys.slice(at, at + 1000);
      // oxlint-disable-next-line no-await-in-loop -- what cannot be deleted now is removed as abandoned later
      await withRetries(() => bucket.delete(keys)).catch(() => undefined);
    }
  }

  #end(state: 'committed' | 'aborted'): void {
    this.#state = state;
    this.#buffer = new Uint8Array(0);
    this.#buffered = 0;
    this.#options.onEnd(this);
  }

  /** After a failure only `abort` is left. */
  async #try(work: () => Promise<unknown>): Promise<void> {
    try {
      await raceSignal(work(), this.#stopping.signal);
    } catch (error) {
      this.#fail(error);
      throw toStorageError(this.key, error);
    }
  }

  #fail(error: unknown): void {
    if (this.#state !== 'open') return;
    this.#state = 'failed';
    this.#failure = error;
  }

  #assertOpen(): void {
    if (this.#state === 'failed' && this.#failure !== undefined) throw toStorageError(this.key, this.#failure);
    if (this.#state !== 'open') throw this.#ended();
  }

  #ended(): HotpackError {
    return new HotpackError('invalid_argument', `the writer is ${this.#state}`, { detail: { key: this.key } });
  }
}
