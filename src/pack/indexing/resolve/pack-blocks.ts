/**
 * Reads a pack back through its writer in blocks that a few hundred entries share. Blocks overlap, so that every entry
 * of up to `OVERLAP` raw bytes lies whole in the block it begins in; larger ones are read by themselves.
 * Memory: `blocks` of `blockBytes + OVERLAP`, least recently used goes first.
 */
import type { StorageWriter } from '../../../storage/contract.ts';
import type { IndexingStats } from '../stats.ts';
import type { PackSweep } from './pack-sweep.ts';

const OVERLAP = 32 * 1024;

export class PackBlocks {
  private readonly writer: StorageWriter;
  private readonly blockBytes: number;
  private readonly maxBlocks: number;
  private readonly stats: IndexingStats;
  private readonly sweep: PackSweep | undefined;
  private readonly blocks = new Map<number, Uint8Array>();
  /** What `find` or `load` found: the bytes at `at` of `bytes`. */
  bytes: Uint8Array = new Uint8Array(0);
  at = 0;

  constructor(
    writer: StorageWriter,
    layout: { readonly blockBytes: number; readonly blocks: number },
    tools: { readonly stats: IndexingStats; readonly sweep?: PackSweep | undefined },
  ) {
    this.writer = writer;
    this.blockBytes = layout.blockBytes;
    this.maxBlocks = layout.blocks;
    this.stats = tools.stats;
    this.sweep = tools.sweep;
  }

  /** True where `[offset, offset + length)` of the pack is in memory. */
  find(offset: number, length: number): boolean {
    if (this.sweep?.find(offset, length) === true) {
      this.bytes = this.sweep.bytes;
      this.at = this.sweep.at;
      return true;
    }
    const number = Math.floor(offset / this.blockBytes);
    const block = this.blocks.get(number);
    if (block === undefined) return false;
    const at = offset - number * this.blockBytes;
    if (at + length > block.length) return false;
    this.bytes = block;
    this.at = at;
    return true;
  }

  /** Reads what `find` did not find. */
  async load(offset: number, length: number): Promise<void> {
    if (length > OVERLAP) {
      this.bytes = await this.read(offset, length);
      this.at = 0;
      return;
    }
    const number = Math.floor(offset / this.blockBytes);
    const start = number * this.blockBytes;
    const end = Math.min(start + this.blockBytes + OVERLAP, this.writer.bytesWritten);
    const block = await this.read(start, end - start);
    this.blocks.delete(number);
    if (this.blocks.size >= this.maxBlocks) {
      const [oldest] = this.blocks.keys();
      if (oldest !== undefined) this.blocks.delete(oldest);
    }
    this.blocks.set(number, block);
    this.bytes = block;
    this.at = offset - start;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const bytes = await this.writer.read(offset, length);
    this.stats.bytesRead += bytes.length;
    return bytes;
  }
}
