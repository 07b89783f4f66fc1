/** How an indexing run divides the bytes it may hold beside its tables. */
export interface IndexingBudget {
  /** Each of the two windows through which the pack arrives. An entry that fits in no window is streamed. */
  readonly windowBytes: number;
  /** Larger objects and deltas go through scratch files (blobs) or are refused (what has links). */
  readonly objectBytes: number;
  /** Inflated deltas kept from the first pass for the second. */
  readonly deltaBytes: number;
  /** Blocks of the pack read back. */
  readonly blockBytes: number;
  readonly blocks: number;
  /** Contents kept on the way down a tree of deltas; what does not fit is derived again. */
  readonly contentBytes: number;
}

const KIB = 1024;
const MIB = 1024 * KIB;

export function planBudget(memoryBytes: number): IndexingBudget {
  const blockBytes = clamp(memoryBytes / 256, 64 * KIB, MIB);
  return {
    windowBytes: clamp(memoryBytes / 64, 64 * KIB, MIB),
    objectBytes: clamp(memoryBytes / 16, 64 * KIB, 32 * MIB),
    deltaBytes: Math.floor(memoryBytes / 4),
    blockBytes,
    blocks: Math.max(4, Math.floor(memoryBytes / 8 / blockBytes)),
    contentBytes: Math.floor(memoryBytes / 4),
  };
}

function clamp(value: number, low: number, high: number): number {
  return Math.floor(Math.min(Math.max(value, low), high));
}
