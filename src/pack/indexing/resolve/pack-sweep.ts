/**
 * Reads a pack back by sweeps, where each read costs a request, or deltas that lie far from their bases are read once more:
 * before a base is resolved, it and the bases behind it are gathered with all that rests on them, as far as `budgetBytes` of raw
 * entries go; then one stream goes over the pack from the first of these entries to the last and keeps just them. So a pack
 * costs about as many requests as its families have bytes, divided by the budget, wherever their members lie. What does not
 * fit (a family above the budget, entries above a quarter of it, ref-deltas, whose bases are not known yet) is read as it is
 * without sweeps.
 *
 * Memory: `budgetBytes`, and 8 bytes for each entry that is gathered.
 */
import type { StorageWriter } from '../../../storage/contract.ts';
import { OBJ_OFS_DELTA } from '../../codec/object-type.ts';
import type { EntryTable } from '../entry-table.ts';
import { NONE } from '../entry-table.ts';
import type { DeltaArena } from '../scan/delta-arena.ts';

export interface SweepSource {
  readonly budgetBytes: number;
  /** `deltas-overflow`: where each read is cheap, only if deltas of the first pass did not all fit into memory. */
  readonly when: 'always' | 'deltas-overflow';
  /** Bytes `[offset, offset + length)` of the pack, in chunks of any size. */
  readonly stream: (offset: number, length: number) => AsyncIterable<Uint8Array>;
}

const PIECE_BYTES = 1024 * 1024;

/** Of a pack that is still being written, where deltas overflow. */
export function sweepsOfWriter(writer: Pick<StorageWriter, 'read'>, budgetBytes: number): SweepSource {
  return {
    budgetBytes,
    when: 'deltas-overflow',
    async *stream(offset, length) {
      const end = offset + length;
      for (let at = offset; at < end; at += PIECE_BYTES) yield await writer.read(at, Math.min(PIECE_BYTES, end - at));
    },
  };
}

/** Entries further apart than this are fetched by two streams. */
const MAX_GAP_BYTES = 16 * 1024 * 1024;
/** An entry costs the time to gather it, too. */
const ENTRY_BYTES = 16;

export class PackSweep {
  readonly #source: SweepSource;
  readonly #table: EntryTable;
  readonly #arena: DeltaArena;
  readonly #packEnd: number;
  readonly #largest: number;
  #buffer: Uint8Array | undefined;
  /** Gathered entries in the order of the pack, and where each begins in the buffer; one more at the end. */
  #entries = new Uint32Array(0);
  #starts = new Uint32Array(1);
  /** Bases below this one were gathered. */
  #nextRoot = 0;
  /** What `find` found. */
  bytes: Uint8Array = new Uint8Array(0);
  at = 0;

  constructor(parts: {
    readonly source: SweepSource;
    readonly table: EntryTable;
    readonly arena: DeltaArena;
    readonly packEnd: number;
  }) {
    this.#source = parts.source;
    this.#table = parts.table;
    this.#arena = parts.arena;
    this.#packEnd = parts.packEnd;
    this.#largest = Math.floor(parts.source.budgetBytes / 4);
  }

  /** To be called with each entry that is no delta, in the order of the pack, before what rests on it is resolved. */
  async prepare(root: number): Promise<void> {
    if (root < this.#nextRoot || this.#table.firstChild[root] === NONE) return;
    this.#gather(root);
    await this.#sweep();
  }

  /** True where `[offset, offset + length)`, part of one entry, was swept up. */
  find(offset: number, length: number): boolean {
    const entries = this.#entries;
    const { offsets } = this.#table;
    let low = 0;
    let high = entries.length - 1;
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const from = offsets[entries[middle] as number] as number;
      if (from > offset) high = middle - 1;
      else if (offset + length > from + (this.#starts[middle + 1] as number) - (this.#starts[middle] as number))
        low = middle + 1;
      else {
        this.bytes = this.#buffer as Uint8Array;
        this.at = (this.#starts[middle] as number) + offset - from;
        return true;
      }
    }
    return false;
  }

  /** Chooses entries, family by family. */
  #gather(first: number): void {
    const { firstChild, nextSibling, types, count } = this.#table;
    const { budgetBytes } = this.#source;
    const chosen: number[] = [];
    let bytes = 0;
    let root = first;
    for (; root < count && bytes < budgetBytes; root++) {
      if ((types[root] as number) >= OBJ_OFS_DELTA || firstChild[root] === NONE) continue;
      const before = { chosen: chosen.length, bytes };
      const stack = [root];
      for (let entry = stack.pop(); entry !== undefined && bytes <= budgetBytes; entry = stack.pop()) {
        const entryBytes = this.#bytesOf(entry);
        if (entryBytes <= this.#largest && this.#arena.get(entry) === undefined) {
          chosen.push(entry);
          bytes += entryBytes + ENTRY_BYTES;
        }
        for (let child = firstChild[entry] as number; child !== NONE; child = nextSibling[child] as number) {
          stack.push(child);
        }
      }
      if (bytes > budgetBytes) {
        // The last family is whole or left for the next sweep; one that is alone brings what fits.
        if (before.chosen > 0) chosen.length = before.chosen;
        else chosen.pop();
        break;
      }
    }
    this.#nextRoot = Math.max(root, first + 1);
    this.#entries = Uint32Array.from(chosen).sort();
    this.#starts = new Uint32Array(chosen.length + 1);
    let at = 0;
    this.#entries.forEach((entry, i) => {
      this.#starts[i] = at;
      at += this.#bytesOf(entry);
    });
    this.#starts[chosen.length] = at;
  }

  async #sweep(): Promise<void> {
    const entries = this.#entries;
    this.#buffer ??= new Uint8Array(this.#source.budgetBytes);
    for (let from = 0; from < entries.length;) {
      let to = from + 1;
      while (to < entries.length && this.#offset(to) - this.#end(to - 1) <= MAX_GAP_BYTES) to++;
      // oxlint-disable-next-line no-await-in-loop -- one stream after the other
      await this.#take(from, to);
      from = to;
    }
  }

  /** One stream over the gathered entries `[from, to)`. */
  async #take(from: number, to: number): Promise<void> {
    const buffer = this.#buffer as Uint8Array;
    let at = this.#offset(from);
    let next = from;
    for await (const chunk of this.#source.stream(at, this.#end(to - 1) - at)) {
      const chunkEnd = at + chunk.length;
      while (next < to && this.#offset(next) < chunkEnd) {
        const offset = this.#offset(next);
        const end = Math.min(this.#end(next), chunkEnd);
        const start = Math.max(offset, at);
        buffer.set(chunk.subarray(start - at, end - at), (this.#starts[next] as number) + start - offset);
        if (this.#end(next) > chunkEnd) break;
        next++;
      }
      at = chunkEnd;
    }
  }

  #offset(place: number): number {
    return this.#table.offsets[this.#entries[place] as number] as number;
  }

  #end(place: number): number {
    return this.#offset(place) + (this.#starts[place + 1] as number) - (this.#starts[place] as number);
  }

  #bytesOf(entry: number): number {
    const { offsets, count } = this.#table;
    const end = entry + 1 < count ? (offsets[entry + 1] as number) : this.#packEnd;
    return end - (offsets[entry] as number);
  }
}
