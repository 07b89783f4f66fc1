/**
 * Bytes that grow, in segments, so that a large object needs no large array and growing copies nothing. Segment i
 * holds the bytes from i × 256 KiB on. Nothing that goes in or comes out shares memory with the caller's arrays.
 */
const SEGMENT_BYTES = 256 * 1024;

export class MemoryBytes {
  readonly #segments: Uint8Array[] = [];
  #bytes = 0;

  static of(bytes: Uint8Array): MemoryBytes {
    const copy = new MemoryBytes();
    copy.append(bytes);
    copy.trim();
    return copy;
  }

  get bytes(): number {
    return this.#bytes;
  }

  append(chunk: Uint8Array): void {
    let taken = 0;
    while (taken < chunk.length) {
      const within = this.#bytes % SEGMENT_BYTES;
      if (within === 0) this.#segments.push(new Uint8Array(this.#segmentFor(chunk.length - taken)));
      const segment = this.#segments.at(-1) as Uint8Array;
      const room = segment.length - within;
      if (room === 0) {
        this.#segments[this.#segments.length - 1] = grown(segment);
        continue;
      }
      const part = chunk.subarray(taken, taken + room);
      segment.set(part, within);
      taken += part.length;
      this.#bytes += part.length;
    }
  }

  /** Overwrites from the beginning; `bytes` must not be longer than what is here. */
  overwriteHead(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += SEGMENT_BYTES) {
      (this.#segments[at / SEGMENT_BYTES] as Uint8Array).set(bytes.subarray(at, at + SEGMENT_BYTES));
    }
  }

  /** A copy of the range, which must lie within. */
  slice(offset: number, length: number): Uint8Array {
    const copy = new Uint8Array(length);
    let done = 0;
    while (done < length) {
      const within = (offset + done) % SEGMENT_BYTES;
      const segment = this.#segments[Math.floor((offset + done) / SEGMENT_BYTES)] as Uint8Array;
      const part = segment.subarray(within, within + length - done);
      copy.set(part, done);
      done += part.length;
    }
    return copy;
  }

  /** Gives back what the last segment holds beyond its bytes; nothing is appended afterwards. */
  trim(): void {
    const within = this.#bytes % SEGMENT_BYTES;
    const last = this.#segments.at(-1);
    if (last !== undefined && within !== 0 && within < last.length) {
      this.#segments[this.#segments.length - 1] = last.slice(0, within);
    }
  }

  /** The first segments are as small as what comes first: most objects are small. */
  #segmentFor(length: number): number {
    return this.#segments.length > 0 ? SEGMENT_BYTES : Math.min(length, SEGMENT_BYTES);
  }
}

function grown(segment: Uint8Array): Uint8Array {
  const larger = new Uint8Array(Math.min(SEGMENT_BYTES, Math.max(64, segment.length * 2)));
  larger.set(segment);
  return larger;
}
