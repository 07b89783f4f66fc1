/** What an indexing run did: counted, so that tests can hold it to its promises. */
export interface IndexingStats {
  /** zlib streams inflated. */
  inflated: number;
  bytesInflated: number;
  /** Bytes read back from the writer. */
  bytesRead: number;
  /** Objects whose name was computed. */
  hashed: number;
  /** Contents derived once more because memory did not hold them. */
  rederived: number;
}

export function createIndexingStats(): IndexingStats {
  return { inflated: 0, bytesInflated: 0, bytesRead: 0, hashed: 0, rederived: 0 };
}
