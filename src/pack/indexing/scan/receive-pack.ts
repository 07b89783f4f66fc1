/**
 * Takes a pack's bytes in chunks of any size through two windows: one is scanned while the other is being written.
 * Only what was understood is written; the trailer is compared and left to the caller, since a thin pack gets another one.
 */
import { raceSignal } from '../../../bytes/abort.ts';
import { HotpackError } from '../../../bytes/error.ts';
import { compareOidBytes } from '../../../bytes/oid.ts';
import { createSha1 } from '../../../bytes/sha1.ts';
import type { StorageWriter } from '../../../storage/contract.ts';
import { PACK_TRAILER_BYTES } from '../../codec/pack-header.ts';
import type { PackScan } from './pack-scan.ts';
import type { Pacer } from '../pacer.ts';

export interface ReceiveInput {
  readonly chunks: AsyncIterable<Uint8Array>;
  readonly writer: StorageWriter;
  readonly scan: PackScan;
  readonly windowBytes: number;
  readonly pacer: Pacer;
  readonly signal: AbortSignal;
  readonly onProgress: (receivedBytes: number) => void;
}

/** Resolves with the pack's trailer (verified, not written) once the chunks have ended where the pack does. */
export async function receivePack(input: ReceiveInput): Promise<Uint8Array> {
  const { writer, scan, signal } = input;
  const sha1 = createSha1();
  let window = new Uint8Array(input.windowBytes);
  let other = new Uint8Array(input.windowBytes);
  let end = 0;
  let windowOffset = 0;
  let complete = false;
  let writing: Promise<void> = Promise.resolve();

  /** Scans what the window holds, hands it to the writer and goes on with the rest in the other window. */
  const drain = async (): Promise<void> => {
    scan.at = 0;
    let progress = scan.run(window, end, windowOffset);
    while (progress === 'paused') {
      await input.pacer.breathe();
      progress = scan.run(window, end, windowOffset);
    }
    complete = progress === 'complete';
    const done = scan.at;
    if (done === 0) return;
    await writing;
    const understood = window.subarray(0, done);
    sha1.update(understood);
    writing = writer.write(understood);
    writing.catch(() => undefined); // awaited before the next write and at the end
    other.set(window.subarray(done, end));
    [window, other] = [other, window];
    end -= done;
    windowOffset += done;
    input.onProgress(windowOffset + end);
  };

  const iterator = input.chunks[Symbol.asyncIterator]();
  let ended = false;
  try {
    for (;;) {
      const { done, value: chunk } = await raceSignal(iterator.next(), signal);
      if (done === true) break;
      for (let at = 0; at < chunk.length;) {
        const bytes = Math.min(chunk.length - at, window.length - end);
        window.set(chunk.subarray(at, at + bytes), end);
        end += bytes;
        at += bytes;
        if (end === window.length) await drain();
      }
    }
    ended = true;
    await drain();
    await writing;
  } finally {
    await Promise.allSettled([writing]);
    // The source is told to stop, not waited for: it may hang.
    if (!ended) void Promise.resolve(iterator.return?.()).catch(() => undefined);
  }
  if (!complete) {
    throw new HotpackError('malformed_pack', 'malformed pack: it ends early', {
      detail: { bytes: windowOffset + end },
    });
  }
  if (end !== PACK_TRAILER_BYTES) {
    throw new HotpackError('malformed_pack', 'malformed pack: its trailer is cut');
  }
  const trailer = window.slice(0, PACK_TRAILER_BYTES);
  if (compareOidBytes(sha1.digest(), 0, trailer, 0) !== 0) {
    throw new HotpackError('malformed_pack', 'malformed pack: its checksum does not match');
  }
  return trailer;
}
