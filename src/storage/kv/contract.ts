/**
 * Small values that instances share: counters, claims, the times of periodic work. Far weaker than `Storage`, since the
 * key-value stores of the edge are:
 *
 * - A read may show what was there up to a day ago, or nothing; two reads may disagree. A list likewise.
 * - There is no compare-and-swap, no increment, no order between writes of two instances.
 * - A write that failed or took too long may still take place later, after younger ones.
 * - One write a second per key.
 *
 * What is built on this MUST be right under all of that: each key has one writer, or is never written twice.
 *
 * Keys: segments of `[a-z0-9_-]` joined by `:`, at most 250 characters. A key MUST NOT be a segment-wise prefix of another. Values
 * are text, since some stores take nothing else.
 */
import type { Absent } from '../contract.ts';

export interface KvValue {
  readonly kind: 'found';
  readonly text: string;
}

export interface Kv {
  /** MUST NOT write anything, whatever is asked for. */
  get(key: string, signal?: AbortSignal): Promise<KvValue | Absent>;
  /** At most 100 keys, answered in their order: one call where the store can, else a few at a time. MUST NOT write. */
  getMany(keys: readonly string[], signal?: AbortSignal): Promise<readonly (KvValue | Absent)[]>;
  /** A text beyond what the store's values hold is `limit_exceeded`; 48 KiB fit anywhere. */
  set(key: string, text: string, signal?: AbortSignal): Promise<void>;
  /** An absent key is no error. */
  delete(key: string, signal?: AbortSignal): Promise<void>;
  /** The keys that start with `prefix`, which is empty or ends with `:`; each once, in no order. */
  list(prefix: string, signal?: AbortSignal): AsyncIterable<string>;
  /** Later calls reject. */
  close(): Promise<void>;
}
