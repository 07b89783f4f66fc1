/** Work that a store has done, counted so that tests and metrics can prove what a request cost. */
export interface ReadCounters {
  /** Calls of `RandomAccess.read`. */
  rangedReads: number;
  /** Bytes that those calls returned. */
  bytesRead: number;
  /** Zlib streams inflated, partly inflated ones included. */
  inflated: number;
  /** Bytes that came out of them. */
  bytesInflated: number;
}

export function createReadCounters(): ReadCounters {
  return { rangedReads: 0, bytesRead: 0, inflated: 0, bytesInflated: 0 };
}
