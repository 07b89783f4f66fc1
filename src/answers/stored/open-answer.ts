/**
 * A stored answer whose object is open, for any number of readers at once; closed when it is let go of and nobody reads.
 * Memory: its packets, where they were asked for (hot-packets.ts).
 */
import { HotpackError } from '../../bytes/error.ts';
import type { Storage, StorageReader } from '../../storage/contract.ts';
import {
  type AnswerHeader,
  HEADER_START_BYTES,
  headerBytesOf,
  MAX_HEADER_BYTES,
  parseAnswerHeader,
} from './answer-header.ts';

export class OpenAnswer {
  readonly header: AnswerHeader;
  readonly reader: StorageReader;
  /** Whoever keeps it open is one of them. */
  #users = 1;
  #packets: Promise<Uint8Array> | undefined;

  private constructor(header: AnswerHeader, reader: StorageReader) {
    this.header = header;
    this.reader = reader;
  }

  /** Undefined where nothing is there. Rejects with `malformed_pack` where it is not what its header says, not all of it. */
  static async open(storage: Storage, key: string): Promise<OpenAnswer | undefined> {
    const reader = await storage.open(key);
    if (reader.kind === 'absent') return undefined;
    try {
      const start = await reader.read(0, Math.min(HEADER_START_BYTES, reader.bytes));
      const headerBytes = headerBytesOf(start) ?? 0;
      if (headerBytes <= Math.min(reader.bytes, MAX_HEADER_BYTES)) {
        const isAll = headerBytes <= start.length;
        const head = isAll ? start.subarray(0, headerBytes) : await reader.read(0, headerBytes);
        const header = parseAnswerHeader(head, reader.bytes);
        if (header !== undefined) return new OpenAnswer(header, reader);
      }
      const detail = { key, bytes: reader.bytes };
      throw new HotpackError('malformed_pack', 'a stored answer is damaged', { detail });
    } catch (error) {
      await reader.close();
      throw error;
    }
  }

  /** False where it is closed by now. */
  use(): boolean {
    if (this.#users === 0) return false;
    this.#users++;
    return true;
  }

  /** Packets and end, read once for everyone: not to be written to. */
  packets(): Promise<Uint8Array> {
    const { headerBytes } = this.header;
    this.#packets ??= this.reader.read(headerBytes, this.reader.bytes - headerBytes);
    return this.#packets;
  }

  forgetPackets(): void {
    this.#packets = undefined;
  }

  letGo(): void {
    this.#users--;
    // What was read from has no more to give; that it does not close harms nobody.
    if (this.#users === 0) this.reader.close().catch(() => undefined);
  }
}
