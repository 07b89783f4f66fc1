/**
 * Which answers are stored, in memory: found by name, and in the order in which they go where room is needed
 * (GreedyDual-Size): an answer is worth what it cost to make for each byte that it takes, and what was used lately is worth
 * more by what the last one to go was worth. So what is large and was cheap goes first, and what was dear in its time
 * does not stay for ever.
 *
 * Memory: some 500 bytes an answer, at most `MAX_ENTRIES` of them.
 */
import type { OpenAnswer } from './open-answer.ts';

/** One stored answer. What is mutable here is the owner's (stored-answers.ts) alone. */
export interface IndexEntry {
  /** In the store. */
  readonly key: string;
  readonly bytes: number;
  /** Digests of sets of tags for which this was found to be the answer. Known once it was opened. */
  readonly tags: Set<string>;
  /** Kept open for those who come next. */
  opened: Promise<OpenAnswer | undefined> | undefined;
  readers: number;
  /** Milliseconds since the epoch; of what was left by an earlier process, when it was stored. */
  usedAtMs: number;
  /** 0 until it is known: what was left by an earlier process counts for little until it is used. */
  costUs: number;
  priority: number;
}

const MAX_ENTRIES = 50_000;
/** What was used so lately makes no room for what nobody has asked for yet. */
const HOT_MS = 60 * 60 * 1000;
/** Of all, what one of those may take. */
const EXPECTED_SHARE = 1 / 16;
/** When room is made, it is made for a while: what goes is sorted out once. */
const LOW_WATER = 0.95;

export class AnswerIndex {
  readonly #maxBytes: number;
  readonly #now: () => number;
  readonly #byKey = new Map<string, IndexEntry>();
  /** Answers that differ by the tags which they add, by the part of their keys that they share. */
  readonly #variants = new Map<string, Set<IndexEntry>>();
  #bytes = 0;
  /** What the last answer that went was worth. */
  #inflation = 0;

  constructor(maxBytes: number, now: () => number = Date.now) {
    this.#maxBytes = maxBytes;
    this.#now = now;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Of one that nobody has asked for yet. */
  get maxExpectedBytes(): number {
    return this.#maxBytes * EXPECTED_SHARE;
  }

  get(key: string): IndexEntry | undefined {
    return this.#byKey.get(key);
  }

  /** The entries under `<stem>-<variant>`. */
  variantsOf(stem: string): ReadonlySet<IndexEntry> {
    return this.#variants.get(stem) ?? new Set();
  }

  /** The keys that begin with `prefix`. */
  keysBelow(prefix: string): string[] {
    return [...this.#byKey.keys()].filter((key) => key.startsWith(prefix));
  }

  /** Takes the place of an entry of the same key. */
  add(found: { readonly key: string; readonly bytes: number; readonly modifiedAtMs?: number }): IndexEntry {
    const { key, bytes } = found;
    const before = this.#byKey.get(key);
    if (before !== undefined) this.remove(before);
    const entry: IndexEntry = {
      key,
      bytes,
      tags: new Set(),
      opened: undefined,
      readers: 0,
      usedAtMs: 0,
      costUs: 0,
      priority: 0,
    };
    this.#byKey.set(key, entry);
    this.#bytes += entry.bytes;
    const stem = stemOf(key);
    if (stem !== key) {
      const variants = this.#variants.get(stem) ?? new Set();
      this.#variants.set(stem, variants.add(entry));
    }
    this.touch(entry);
    entry.usedAtMs = found.modifiedAtMs ?? entry.usedAtMs;
    return entry;
  }

  /** It was used now. */
  touch(entry: IndexEntry): void {
    entry.usedAtMs = this.#now();
    entry.priority = this.#inflation + entry.costUs / entry.bytes;
    // In the order of last use, which decides between equals.
    if (this.#byKey.delete(entry.key)) this.#byKey.set(entry.key, entry);
  }

  /** False where it is not here any more. */
  remove(entry: IndexEntry): boolean {
    if (this.#byKey.get(entry.key) !== entry) return false;
    this.#byKey.delete(entry.key);
    this.#bytes -= entry.bytes;
    const stem = stemOf(entry.key);
    const variants = this.#variants.get(stem);
    variants?.delete(entry);
    if (variants?.size === 0) this.#variants.delete(stem);
    return true;
  }

  /** Those that must go, so that `bytes` more can come; removed from here. What is being read stays. */
  makeRoom(bytes: number): IndexEntry[] {
    if (this.#hasRoom(bytes)) return [];
    const lowBytes = Math.min(this.#maxBytes - bytes, this.#maxBytes * LOW_WATER);
    const lowCount = MAX_ENTRIES * LOW_WATER;
    const gone: IndexEntry[] = [];
    for (const entry of this.#byWorth()) {
      if (this.#bytes <= lowBytes && this.#byKey.size <= lowCount) break;
      if (entry.readers > 0) continue;
      this.#letGo(entry);
      gone.push(entry);
    }
    return gone;
  }

  /**
   * The same for an answer that nobody has asked for yet: only what was not used lately and is worth less goes. Undefined, and nothing
   * is removed, where that is not enough.
   */
  makeRoomFor({ bytes, costUs }: Pick<IndexEntry, 'bytes' | 'costUs'>): IndexEntry[] | undefined {
    if (bytes > this.maxExpectedBytes) return undefined;
    if (this.#hasRoom(bytes)) return [];
    const worth = this.#inflation + costUs / bytes;
    const coldSinceMs = this.#now() - HOT_MS;
    const gone: IndexEntry[] = [];
    let left = this.#bytes;
    for (const entry of this.#byWorth()) {
      if (left + bytes <= this.#maxBytes && this.#byKey.size - gone.length < MAX_ENTRIES) break;
      if (entry.priority >= worth) break;
      if (entry.readers > 0 || entry.usedAtMs > coldSinceMs) continue;
      left -= entry.bytes;
      gone.push(entry);
    }
    if (left + bytes > this.#maxBytes || this.#byKey.size - gone.length >= MAX_ENTRIES) return undefined;
    for (const entry of gone) this.#letGo(entry);
    return gone;
  }

  #hasRoom(bytes: number): boolean {
    return this.#bytes + bytes <= this.#maxBytes && this.#byKey.size < MAX_ENTRIES;
  }

  #byWorth(): IndexEntry[] {
    return [...this.#byKey.values()].toSorted((a, b) => a.priority - b.priority);
  }

  #letGo(entry: IndexEntry): void {
    this.#inflation = Math.max(this.#inflation, entry.priority);
    this.remove(entry);
  }
}

/** A key without the name of its variant; keys without one are their own. */
function stemOf(key: string): string {
  const dash = key.indexOf('-', key.lastIndexOf('/') + 1);
  return dash < 0 ? key : key.slice(0, dash);
}
