/**
 * The packets of small stored answers that are asked for again and again, in memory: giving one costs no I/O and no copy. An
 * answer is read whole when it is asked for the second time since it was opened; the least recently used make room.
 *
 * Memory: `maxBytes`, and what is still on its way to clients when it goes, at most `MAX_HOT_BYTES` each.
 */
import type { OpenAnswer } from './open-answer.ts';

/** Larger ones stream: what it costs to open and to read does not matter beside sending them. */
export const MAX_HOT_BYTES: number = 1024 * 1024;

export class HotPackets {
  readonly #maxBytes: number;
  /** Asked for once, and nothing is kept of them. */
  readonly #seen = new WeakSet<OpenAnswer>();
  /** The least recently used first. */
  readonly #hot = new Set<OpenAnswer>();
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Of an answer that was asked for: packets and end, not to be written to. Undefined where they are to be streamed. */
  of(answer: OpenAnswer): Promise<Uint8Array> | undefined {
    if (this.#hot.delete(answer)) {
      this.#hot.add(answer);
      return answer.packets();
    }
    const { bytes } = answer.reader;
    if (bytes > Math.min(MAX_HOT_BYTES, this.#maxBytes)) return undefined;
    if (!this.#seen.has(answer)) {
      this.#seen.add(answer);
      return undefined;
    }
    this.#hot.add(answer);
    this.#bytes += bytes;
    for (const oldest of this.#hot) {
      if (this.#bytes <= this.#maxBytes) break;
      this.forget(oldest);
    }
    return answer.packets();
  }

  forget(answer: OpenAnswer): void {
    if (!this.#hot.delete(answer)) return;
    this.#bytes -= answer.reader.bytes;
    answer.forgetPackets();
  }
}
