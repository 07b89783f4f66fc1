/**
 * An answer's bytes on their way into the store: readable while they come, for those who fall behind, and afterwards. Offsets
 * count from the first packet.
 */
import { HotpackError } from '../../bytes/error.ts';
import type { RandomAccess, Storage, StorageReader, StorageWriter } from '../../storage/contract.ts';
import { END, encodeAnswerHeader, type AnswerHeader } from './answer-header.ts';

/** The most that `rewriteHead` takes; the numbers of a header stand well within. */
const REWRITTEN_BYTES = 256;

export type HeaderFields = Omit<AnswerHeader, 'headerBytes'>;

export class AnswerSpool {
  readonly #storage: Storage;
  readonly #writer: StorageWriter;
  readonly #headerBytes: number;
  readonly #reads = new Set<Promise<unknown>>();
  /** While it is being kept nobody reads; then it is read from where it lies. */
  #keeping: Promise<StorageReader> | undefined;

  private constructor(storage: Storage, writer: StorageWriter, headerBytes: number) {
    this.#storage = storage;
    this.#writer = writer;
    this.#headerBytes = headerBytes;
  }

  static async open(storage: Storage, key: string, header: HeaderFields): Promise<AnswerSpool> {
    const writer = await storage.openWriter(key);
    const bytes = encodeAnswerHeader({ ...header, packBytes: 0 });
    try {
      await writer.write(bytes);
      return new AnswerSpool(storage, writer, bytes.length);
    } catch (error) {
      await writer.abort();
      throw error;
    }
  }

  write(packets: Uint8Array): Promise<void> {
    return this.#writer.write(packets);
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const source: Pick<RandomAccess, 'read'> = (await this.#keeping) ?? this.#writer;
    const reading = source.read(this.#headerBytes + offset, length);
    this.#reads.add(reading);
    try {
      return await reading;
    } finally {
      this.#reads.delete(reading);
    }
  }

  /** Makes it an answer that others find. Called once, when every byte was written. */
  async keep(header: HeaderFields): Promise<StorageReader> {
    this.#keeping = this.#keep(header);
    this.#keeping.catch(() => undefined);
    return this.#keeping;
  }

  /** Ends reading; what was not kept is gone. Idempotent. */
  async abort(): Promise<void> {
    const reader = await this.#keeping?.catch(() => undefined);
    await reader?.close();
    await this.#writer.abort();
  }

  async #keep(header: HeaderFields): Promise<StorageReader> {
    await Promise.allSettled(this.#reads);
    await this.#writer.write(END);
    await this.#writer.rewriteHead(encodeAnswerHeader(header).subarray(0, REWRITTEN_BYTES));
    await this.#writer.commit();
    const reader = await this.#storage.open(this.#writer.key);
    if (reader.kind === 'reader') return reader;
    throw new HotpackError('storage_unavailable', 'an answer is gone right after it was stored');
  }
}
