/**
 * The bytes of the packs in aligned blocks, bounded in bytes, least recently used out first.
 *
 * A span that lies in one cached block is handed out in place; one that crosses blocks is copied together. Missing
 * blocks that lie side by side come in one ranged read; whoever asks for a block that is on its way waits for that
 * same read. When blocks are asked for in ascending order the read goes further with every miss (up to
 * `READ_AHEAD_BYTES`), so that a scan costs one read a MiB. A read that several wait for follows no one's signal;
 * each waiter leaves alone.
 *
 * Peak memory: `budgetBytes` (at least four blocks), plus what reads on their way bring and one span per waiter.
 */
import { raceSignal } from '../../bytes/abort.ts';
import { HotpackError } from '../../bytes/error.ts';
import type { RandomAccess } from '../../storage/contract.ts';
import type { ReadOptions } from './packed-objects.ts';
import type { ReadCounters } from './read-counters.ts';

const MAX_BLOCK_BYTES = 128 * 1024;
const MIN_BLOCK_BYTES = 4 * 1024;
const READ_AHEAD_BYTES = 1024 * 1024;
/** Spans of more blocks are read alone and not kept: one large blob must not empty the cache. */
const MAX_SPAN_BLOCKS = 8;
/** Block keys are `pack * BLOCKS_PER_PACK + block`: safe integers up to 2^17 packs of 2^36 blocks. */
const BLOCKS_PER_PACK = 2 ** 36;

/** Bytes `[start, end)` of `input` are what was asked for. */
export interface Span {
  readonly input: Uint8Array;
  readonly start: number;
  readonly end: number;
}

interface Block {
  readonly bytes: Uint8Array;
  usedAt: number;
}

export class BlockCache {
  readonly #packs: readonly RandomAccess[];
  readonly #counters: ReadCounters;
  readonly #blockBytes: number;
  readonly #maxBlocks: number;
  readonly #blocks = new Map<number, Block>();
  readonly #pending = new Map<number, Promise<Uint8Array>>();
  /** Per pack: the block behind the last read, and how many blocks that read took. */
  readonly #expected: { next: number; blocks: number }[];
  #clock = 0;
  #recentKey = -1;
  #recent: Block | undefined;
  #closed = false;

  constructor(packs: readonly RandomAccess[], budgetBytes: number, counters: ReadCounters) {
    this.#packs = packs;
    this.#counters = counters;
    let blockBytes = MAX_BLOCK_BYTES;
    while (blockBytes > MIN_BLOCK_BYTES && blockBytes * 16 > budgetBytes) blockBytes /= 2;
    this.#blockBytes = blockBytes;
    this.#maxBlocks = Math.max(4, Math.floor(budgetBytes / blockBytes));
    this.#expected = packs.map(() => ({ next: 0, blocks: 1 }));
  }

  /** The span `[from, to)` if all of it is here. */
  peek(pack: number, from: number, to: number): Span | undefined {
    const size = this.#blockBytes;
    const first = Math.floor(from / size);
    const last = Math.floor((to - 1) / size);
    if (first === last) {
      const block = this.#touch(pack * BLOCKS_PER_PACK + first);
      if (block === undefined) return undefined;
      const base = first * size;
      return { input: block.bytes, start: from - base, end: to - base };
    }
    if (last - first >= MAX_SPAN_BLOCKS) return undefined;
    for (let block = first; block <= last; block++) {
      if (!this.#blocks.has(pack * BLOCKS_PER_PACK + block)) return undefined;
    }
    const input = new Uint8Array(to - from);
    for (let block = first; block <= last; block++) {
      const bytes = (this.#touch(pack * BLOCKS_PER_PACK + block) as Block).bytes;
      copyBlock({ bytes, base: block * size, from, to }, input);
    }
    return { input, start: 0, end: input.length };
  }

  /** The span `[from, to)`, read where it is missing. `to` must not lie beyond the pack's end. */
  async load(pack: number, from: number, to: number, signal?: AbortSignal): Promise<Span> {
    const here = this.peek(pack, from, to);
    if (here !== undefined) return here;
    const size = this.#blockBytes;
    const first = Math.floor(from / size);
    const last = Math.floor((to - 1) / size);
    if (last - first >= MAX_SPAN_BLOCKS) {
      const input = await this.read(pack, from, to - from, { signal });
      return { input, start: 0, end: input.length };
    }
    const parts: Promise<Uint8Array>[] = [];
    for (let block = first; block <= last; block++) parts.push(this.#fetch(pack, block, last));
    const blocks = await raceSignal(Promise.all(parts), signal);
    if (blocks.length === 1) {
      return { input: blocks[0] as Uint8Array, start: from - first * size, end: to - first * size };
    }
    const input = new Uint8Array(to - from);
    blocks.forEach((bytes, i) => copyBlock({ bytes, base: (first + i) * size, from, to }, input));
    return { input, start: 0, end: input.length };
  }

  /** One ranged read past the cache. */
  async read(pack: number, offset: number, length: number, options: ReadOptions = {}): Promise<Uint8Array> {
    if (this.#closed) throw new HotpackError('invalid_argument', 'the object store is closed');
    this.#counters.rangedReads++;
    const bytes = await (this.#packs[pack] as RandomAccess).read(offset, length, options.signal, options.into);
    if (bytes.length !== length) {
      throw new HotpackError('malformed_pack', `a read of ${length} bytes returned ${bytes.length}`, {
        detail: { pack, offset, expected: length, actual: bytes.length },
      });
    }
    this.#counters.bytesRead += length;
    return bytes;
  }

  close(): void {
    this.#closed = true;
    this.#blocks.clear();
    this.#recent = undefined;
    this.#recentKey = -1;
  }

  #touch(key: number): Block | undefined {
    if (key === this.#recentKey) return this.#recent;
    const block = this.#blocks.get(key);
    if (block === undefined) return undefined;
    block.usedAt = ++this.#clock;
    this.#recentKey = key;
    this.#recent = block;
    return block;
  }

  /** Block `block`, out of the cache, out of a read on its way, or out of a new one that goes at least to `wanted`. */
  #fetch(pack: number, block: number, wanted: number): Promise<Uint8Array> {
    const key = pack * BLOCKS_PER_PACK + block;
    const cached = this.#touch(key);
    if (cached !== undefined) return Promise.resolve(cached.bytes);
    const pending = this.#pending.get(key);
    if (pending !== undefined) return pending;

    const size = this.#blockBytes;
    const packBytes = (this.#packs[pack] as RandomAccess).bytes;
    const expected = this.#expected[pack] as { next: number; blocks: number };
    const mostBlocks = Math.max(1, Math.min(Math.floor(READ_AHEAD_BYTES / size), Math.floor(this.#maxBlocks / 4)));
    expected.blocks = expected.next === block ? Math.min(mostBlocks, expected.blocks * 2) : 1;
    const limit = Math.min(Math.max(block + expected.blocks, wanted + 1), Math.ceil(packBytes / size));
    let end = block + 1;
    while (end < limit && this.#isMissing(pack * BLOCKS_PER_PACK + end)) end++;
    expected.next = end;

    const base = block * size;
    const read = this.read(pack, base, Math.min(end * size, packBytes) - base);
    for (let i = block; i < end; i++) {
      const blockKey = pack * BLOCKS_PER_PACK + i;
      const part = read.then(
        (bytes) => {
          // A block of its own, so that one kept block does not keep its neighbours' bytes alive.
          const own = end - block === 1 ? bytes : bytes.slice((i - block) * size, (i - block + 1) * size);
          this.#pending.delete(blockKey);
          this.#keep(blockKey, own);
          return own;
        },
        (error: unknown) => {
          this.#pending.delete(blockKey);
          throw error;
        },
      );
      part.catch(() => undefined);
      this.#pending.set(blockKey, part);
    }
    return this.#pending.get(key) as Promise<Uint8Array>;
  }

  #isMissing(key: number): boolean {
    return !this.#blocks.has(key) && !this.#pending.has(key);
  }

  #keep(key: number, bytes: Uint8Array): void {
    if (this.#closed) return;
    while (this.#blocks.size >= this.#maxBlocks) this.#evict();
    this.#blocks.set(key, { bytes, usedAt: ++this.#clock });
  }

  /** One look over the blocks for each block read: nothing against the read itself. */
  #evict(): void {
    let oldestKey = -1;
    let oldest = Number.POSITIVE_INFINITY;
    for (const [key, block] of this.#blocks) {
      if (block.usedAt < oldest && key !== this.#recentKey) {
        oldest = block.usedAt;
        oldestKey = key;
      }
    }
    this.#blocks.delete(oldestKey);
  }
}

function copyBlock(
  block: { readonly bytes: Uint8Array; readonly base: number; readonly from: number; readonly to: number },
  target: Uint8Array,
): void {
  const { bytes, base, from, to } = block;
  const start = Math.max(from, base);
  const end = Math.min(to, base + bytes.length);
  target.set(bytes.subarray(start - base, end - base), start - from);
}
