/**
 * The second pass: from each object that is no delta down the tree of deltas on it, depth first and without
 * recursion. On the way down a frame keeps its content only while children are left; beyond the budget the lowest
 * frames give theirs up and derive it again (from the nearest frame that still has one) when the walk is back. Work that
 * only derives again is bounded, so that no pack can make this quadratic.
 *
 * Memory: `budget.contentBytes` of contents, one buffer for the result at hand (bounded by `budget.objectBytes`), scratch
 * writers for what is larger.
 */
import { HotpackError } from '../../../bytes/error.ts';
import { OID_BYTES } from '../../../bytes/oid.ts';
import { applyDeltaInto, createDeltaHeader, parseDeltaHeader } from '../../codec/delta.ts';
import { createEntryHeader, MAX_ENTRY_HEADER_BYTES, parseEntryHeader } from '../../codec/entry-header.ts';
import { inflateWhole } from '../../codec/inflate.ts';
import type { ObjectType } from '../../codec/object-type.ts';
import { OBJ_BLOB } from '../../codec/object-type.ts';
import type { IndexingBudget } from '../budget.ts';
import type { DeltaArena } from '../scan/delta-arena.ts';
import type { EntryTable } from '../entry-table.ts';
import { NONE } from '../entry-table.ts';
import { HEADROOM, hashInPlace } from '../object-hash.ts';
import type { ContentSink } from '../scan/pack-scan.ts';
import type { Content, ScratchTools, StreamPlace } from './scratch-content.ts';
import { applyStreamed, contentBytes, disposeContent, inflateToScratch } from './scratch-content.ts';
import type { WaitingDeltas } from './waiting-deltas.ts';

export interface ResolverInput {
  readonly table: EntryTable;
  readonly arena: DeltaArena;
  readonly waiting: WaitingDeltas;
  readonly budget: IndexingBudget;
  readonly tools: ScratchTools;
  readonly sink: ContentSink;
}

/** Derived-again bytes allowed: this many, and as often as this the bytes that were derived once. */
const REDERIVE_FLOOR = 2 ** 31;
const REDERIVE_RATIO = 16;
/** What deriving an object costs beside its bytes. */
const REDERIVE_OBJECT_BYTES = 500;

export class DeltaResolver {
  /** Deltas that have a name now. */
  resolved = 0;
  /** Where the last entry ends; moves when bases are appended. */
  packEnd: number;
  private readonly input: ResolverInput;
  private readonly header = createEntryHeader();
  private readonly deltaHeader = createDeltaHeader();
  private buffer: Uint8Array = new Uint8Array(64 * 1024);
  private derivedBytes = 0;
  private rederivedBytes = 0;

  // The way from the root down to where we are, one place each a level.
  private readonly entries: number[] = [];
  private readonly nextChild: number[] = [];
  private readonly contents: (Content | undefined)[] = [];
  private heldBytes = 0;
  /** No level below this one holds content that could be given up. */
  private evictFrom = 0;

  constructor(input: ResolverInput, packEnd: number) {
    this.input = input;
    this.packEnd = packEnd;
  }

  /** Names every delta that rests on `root` (an object with a name), links included. */
  async resolveFrom(root: number): Promise<void> {
    const { table, waiting } = this.input;
    waiting.attachTo(root);
    if (table.firstChild[root] === NONE) return;
    const type = table.types[root] as ObjectType;
    try {
      this.push(root, await this.readObject(root));
      while (this.entries.length > 0) {
        const top = this.entries.length - 1;
        const child = this.nextChild[top] as number;
        if (child === NONE) await this.pop();
        else await this.step(top, child, type);
      }
    } finally {
      while (this.entries.length > 0) await this.pop();
    }
  }

  /** Content of any entry that is resolved, derived from scratch; `undefined` where it is too large for memory. */
  async contentOf(entry: number): Promise<{ readonly type: ObjectType; readonly content: Uint8Array } | undefined> {
    const { table } = this.input;
    const chain: number[] = [];
    let at = entry;
    while (table.parents[at] !== NONE) {
      chain.push(at);
      at = table.parents[at] as number;
    }
    const type = table.types[at] as ObjectType;
    let content = await this.readObject(at);
    for (let i = chain.length - 1; i >= 0; i--) {
      const next = await this.derive(content, chain[i] as number, type);
      await disposeContent(content);
      content = next;
      this.countRederived(contentBytes(content));
    }
    if (content instanceof Uint8Array) return { type, content };
    await disposeContent(content);
    return undefined;
  }

  private async step(top: number, child: number, type: ObjectType): Promise<void> {
    const { table, waiting, tools, sink, arena } = this.input;
    const base = this.contents[top] ?? (await this.rederive(top, type));
    const next = table.nextSibling[child] as number;
    this.nextChild[top] = next;
    // After the last child nobody needs the content: let go of it before going down.
    if (next === NONE) this.drop(top);
    let kept: Content | undefined;
    let name: Uint8Array | undefined;
    let size = -1;
    try {
      const delta = arena.get(child) ?? (await this.readDelta(child));
      if (base instanceof Uint8Array && delta !== undefined) size = this.resultSize(delta);
      if (size >= 0 && delta !== undefined) {
        const target = this.bufferFor(size).subarray(HEADROOM, HEADROOM + size);
        applyDeltaInto(base as Uint8Array, delta, { start: 0, end: delta.length }, target);
      } else {
        const result = await applyStreamed(tools, base, await this.placeOf(child), type);
        kept = result.content;
        name = result.name;
        size = contentBytes(kept);
        if (kept instanceof Uint8Array) this.bufferFor(size).set(kept, HEADROOM);
      }
    } finally {
      if (next === NONE) await disposeContent(base);
    }
    try {
      if (name !== undefined) table.names.set(name, child * OID_BYTES);
      else hashInPlace(type, { buffer: this.buffer, size }, { names: table.names, at: child * OID_BYTES });
      tools.stats.hashed++;
      this.resolved++;
      this.derivedBytes += size;
      if (type !== OBJ_BLOB) sink(type, this.buffer, HEADROOM, size);
      waiting.attachTo(child);
      if (table.firstChild[child] !== NONE) {
        this.push(child, kept ?? this.buffer.slice(HEADROOM, HEADROOM + size));
        kept = undefined;
      }
    } finally {
      await disposeContent(kept);
    }
    await this.evict();
    if (tools.pacer.spend(size)) await tools.pacer.breathe();
  }

  /** The content of level `top` from the nearest level below that has one. */
  private async rederive(top: number, type: ObjectType): Promise<Content> {
    let from = top;
    while (from > 0 && this.contents[from] === undefined) from--;
    let content = this.contents[from];
    const start = content;
    content ??= await this.readObject(this.entries[from] as number);
    for (let level = from + 1; level <= top; level++) {
      const next = await this.derive(content, this.entries[level] as number, type);
      if (content !== start) await disposeContent(content);
      content = next;
      this.countRederived(contentBytes(content));
    }
    this.hold(top, content);
    return content;
  }

  private countRederived(bytes: number): void {
    this.input.tools.stats.rederived++;
    this.rederivedBytes += bytes + REDERIVE_OBJECT_BYTES;
    if (this.rederivedBytes > REDERIVE_FLOOR + REDERIVE_RATIO * this.derivedBytes) {
      throw new HotpackError('limit_exceeded', 'deltas that take too much work for the memory there is');
    }
  }

  /** The content of `entry`, a delta on `base`. */
  private async derive(base: Content, entry: number, type: ObjectType): Promise<Content> {
    const { arena, tools } = this.input;
    const delta = arena.get(entry) ?? (await this.readDelta(entry));
    if (base instanceof Uint8Array && delta !== undefined) {
      const size = this.resultSize(delta);
      if (size >= 0) {
        const target = new Uint8Array(size);
        applyDeltaInto(base, delta, { start: 0, end: delta.length }, target);
        if (tools.pacer.spend(size)) await tools.pacer.breathe();
        return target;
      }
    }
    return (await applyStreamed(tools, base, await this.placeOf(entry), type)).content;
  }

  /** What the delta makes, or -1 where that is too large for memory. */
  private resultSize(delta: Uint8Array): number {
    const header = this.deltaHeader;
    if (parseDeltaHeader(delta, 0, delta.length, header) < 0) {
      throw new HotpackError('malformed_pack', 'malformed delta: it ends within its sizes');
    }
    return header.resultSize <= this.input.budget.objectBytes ? header.resultSize : -1;
  }

  /** The inflated delta of `entry`, or `undefined` where it is too large for memory. */
  private async readDelta(entry: number): Promise<Uint8Array | undefined> {
    const content = await this.inflateEntry(entry);
    return content instanceof Uint8Array ? content : undefined;
  }

  private async readObject(entry: number): Promise<Content> {
    const content = await this.inflateEntry(entry);
    return content instanceof Uint8Array ? content : await inflateToScratch(this.input.tools, content);
  }

  /** What the entry's zlib stream holds, or where it lies if that is too much for memory. */
  private async inflateEntry(entry: number): Promise<Uint8Array | StreamPlace> {
    const { tools, budget } = this.input;
    const blocks = tools.pack;
    const { offset, end } = this.bounds(entry);
    const headBytes = Math.min(end - offset, MAX_ENTRY_HEADER_BYTES);
    if (!blocks.find(offset, end - offset) && !blocks.find(offset, headBytes)) {
      await blocks.load(offset, headBytes);
    }
    const { header } = this;
    const headerBytes = parseEntryHeader(blocks.bytes, blocks.at, blocks.at + headBytes, header);
    const { size } = header;
    if (headerBytes < 0) throw new HotpackError('malformed_pack', 'malformed pack: an entry is cut');
    const dataAt = offset + headerBytes;
    if (size > budget.objectBytes) return { dataAt, end, size };
    if (!blocks.find(dataAt, end - dataAt)) await blocks.load(dataAt, end - dataAt);
    const content = inflateWhole(blocks.bytes, blocks.at, blocks.at + end - dataAt, size);
    tools.stats.inflated++;
    tools.stats.bytesInflated += size;
    return content;
  }

  private async placeOf(entry: number): Promise<StreamPlace> {
    const { pack } = this.input.tools;
    const { offset, end } = this.bounds(entry);
    const headBytes = Math.min(end - offset, MAX_ENTRY_HEADER_BYTES);
    if (!pack.find(offset, headBytes)) await pack.load(offset, headBytes);
    const headerBytes = parseEntryHeader(pack.bytes, pack.at, pack.at + headBytes, this.header);
    if (headerBytes < 0) throw new HotpackError('malformed_pack', 'malformed pack: an entry is cut');
    return { dataAt: offset + headerBytes, end, size: this.header.size };
  }

  private bounds(entry: number): { readonly offset: number; readonly end: number } {
    const { table } = this.input;
    return {
      offset: table.offsets[entry] as number,
      end: entry + 1 < table.count ? (table.offsets[entry + 1] as number) : this.packEnd,
    };
  }

  private push(entry: number, content: Content): void {
    this.entries.push(entry);
    this.nextChild.push(this.input.table.firstChild[entry] as number);
    this.contents.push(undefined);
    this.hold(this.entries.length - 1, content);
  }

  private async pop(): Promise<void> {
    const top = this.entries.length - 1;
    const content = this.contents[top];
    this.drop(top);
    this.entries.pop();
    this.nextChild.pop();
    this.contents.pop();
    await disposeContent(content);
  }

  private hold(level: number, content: Content): void {
    this.contents[level] = content;
    this.heldBytes += this.weight(content);
    this.evictFrom = Math.min(this.evictFrom, level);
  }

  private drop(level: number): void {
    const content = this.contents[level];
    if (content === undefined) return;
    this.contents[level] = undefined;
    this.heldBytes -= this.weight(content);
  }

  /** A scratch writer weighs as much as lets eight of them be open. */
  private weight(content: Content): number {
    return content instanceof Uint8Array ? content.length : this.input.budget.contentBytes / 8;
  }

  private async evict(): Promise<void> {
    const top = this.entries.length - 1;
    while (this.heldBytes > this.input.budget.contentBytes && this.evictFrom < top) {
      const content = this.contents[this.evictFrom];
      this.drop(this.evictFrom++);
      await disposeContent(content);
    }
  }

  private bufferFor(size: number): Uint8Array {
    if (this.buffer.length < HEADROOM + size) {
      this.buffer = new Uint8Array(Math.max(HEADROOM + size, this.buffer.length * 2));
    }
    return this.buffer;
  }
}
