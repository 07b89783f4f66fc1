/**
 * Objects too large for memory, kept in scratch writers while deltas on them are resolved. Bounded memory: blocks
 * of the base, a piece of the delta, a piece of the result.
 */
import { HotpackError } from '../../../bytes/error.ts';
import type { Sha1 } from '../../../bytes/sha1.ts';
import type { StorageWriter } from '../../../storage/contract.ts';
import { createDeltaStream } from '../../codec/delta-stream.ts';
import { createInflateStream } from '../../codec/inflate-stream.ts';
import type { ObjectType } from '../../codec/object-type.ts';
import { OBJ_BLOB } from '../../codec/object-type.ts';
import { createObjectSha1 } from '../object-hash.ts';
import { PackBlocks } from './pack-blocks.ts';
import type { Pacer } from '../pacer.ts';
import type { IndexingStats } from '../stats.ts';

export interface ScratchContent {
  readonly kind: 'scratch';
  readonly writer: StorageWriter;
  readonly bytes: number;
  readonly blocks: PackBlocks;
}

export type Content = Uint8Array | ScratchContent;

export interface ScratchTools {
  readonly pack: PackBlocks;
  readonly openScratch: () => Promise<StorageWriter>;
  readonly objectBytes: number;
  readonly pacer: Pacer;
  readonly stats: IndexingStats;
}

/** Where in the pack a zlib stream lies and what it makes. */
export interface StreamPlace {
  readonly dataAt: number;
  readonly end: number;
  readonly size: number;
}

const RAW_BYTES = 256 * 1024;
/** Raw bytes inflated at once: they make at most 2 MiB. */
const STEP_BYTES = 2048;
const COPY_BYTES = 32 * 1024;
const BASE_LAYOUT = { blockBytes: 256 * 1024, blocks: 4 };

export function contentBytes(content: Content): number {
  return content instanceof Uint8Array ? content.length : content.bytes;
}

export async function disposeContent(content: Content | undefined): Promise<void> {
  if (content !== undefined && !(content instanceof Uint8Array)) await content.writer.abort();
}

/** Inflates an object of any size into a scratch writer. */
export async function inflateToScratch(tools: ScratchTools, place: StreamPlace): Promise<ScratchContent> {
  const writer = await tools.openScratch();
  try {
    for await (const pieces of inflatedPieces(tools, place)) {
      for (const piece of pieces) await writer.write(piece);
    }
  } catch (error) {
    await writer.abort();
    throw error;
  }
  return scratchOf(tools, writer, place.size);
}

/**
 * The result of the delta at `place` on `base`: in memory without a name where it is small enough, else in a scratch
 * writer, hashed on the way.
 */
export async function applyStreamed(
  tools: ScratchTools,
  base: Content,
  place: StreamPlace,
  type: ObjectType,
): Promise<{ readonly content: Content; readonly name: Uint8Array | undefined }> {
  const delta = createDeltaStream(contentBytes(base));
  let target: ResultTarget | undefined;
  try {
    for await (const pieces of inflatedPieces(tools, place)) {
      for (const piece of pieces) {
        for (const instruction of delta.push(piece)) {
          target ??= await openTarget(tools, delta.header?.resultSize ?? 0, type);
          if (instruction.kind === 'insert') await target.append(instruction.bytes);
          else await copyBase(base, instruction.offset, instruction.bytes, target);
        }
      }
    }
    delta.finish();
    target ??= await openTarget(tools, 0, type);
    return await target.finish();
  } catch (error) {
    await target?.abort();
    throw error;
  }
}

async function copyBase(base: Content, offset: number, bytes: number, target: ResultTarget): Promise<void> {
  if (base instanceof Uint8Array) {
    await target.append(base.subarray(offset, offset + bytes));
    return;
  }
  const { blocks } = base;
  for (let at = offset; at < offset + bytes;) {
    const length = Math.min(COPY_BYTES, offset + bytes - at);
    if (!blocks.find(at, length)) await blocks.load(at, length);
    await target.append(blocks.bytes.subarray(blocks.at, blocks.at + length));
    at += length;
  }
}

interface ResultTarget {
  /** Takes a copy. The delta stream has checked that the result's size is not exceeded. */
  append(bytes: Uint8Array): Promise<void>;
  finish(): Promise<{ readonly content: Content; readonly name: Uint8Array | undefined }>;
  abort(): Promise<void>;
}

async function openTarget(tools: ScratchTools, size: number, type: ObjectType): Promise<ResultTarget> {
  if (size <= tools.objectBytes) return memoryTarget(size);
  if (type !== OBJ_BLOB) {
    throw new HotpackError('limit_exceeded', 'a commit, tree or tag too large to be looked into', {
      detail: { bytes: size, limit: tools.objectBytes },
    });
  }
  return scratchTarget(tools, await tools.openScratch(), size, createObjectSha1(type, size));
}

function memoryTarget(size: number): ResultTarget {
  const content = new Uint8Array(size);
  let filled = 0;
  return {
    append(bytes) {
      content.set(bytes, filled);
      filled += bytes.length;
      return Promise.resolve();
    },
    finish: () => Promise.resolve({ content, name: undefined }),
    abort: () => Promise.resolve(),
  };
}

function scratchTarget(tools: ScratchTools, writer: StorageWriter, size: number, sha1: Sha1): ResultTarget {
  const buffer = new Uint8Array(RAW_BYTES);
  let filled = 0;
  const flush = async (): Promise<void> => {
    if (filled === 0) return;
    const full = buffer.subarray(0, filled);
    sha1.update(full);
    await writer.write(full);
    if (tools.pacer.spend(filled)) await tools.pacer.breathe();
    filled = 0;
  };
  return {
    async append(bytes) {
      for (let at = 0; at < bytes.length;) {
        const length = Math.min(buffer.length - filled, bytes.length - at);
        buffer.set(bytes.subarray(at, at + length), filled);
        filled += length;
        at += length;
        if (filled === buffer.length) await flush();
      }
    },
    async finish() {
      await flush();
      return { content: scratchOf(tools, writer, size), name: sha1.digest() };
    },
    abort: () => writer.abort(),
  };
}

function scratchOf(tools: ScratchTools, writer: StorageWriter, bytes: number): ScratchContent {
  return { kind: 'scratch', writer, bytes, blocks: new PackBlocks(writer, BASE_LAYOUT, { stats: tools.stats }) };
}

/** The stream's output, some pieces at a time. */
async function* inflatedPieces(tools: ScratchTools, place: StreamPlace): AsyncGenerator<readonly Uint8Array[], void> {
  const stream = createInflateStream(place.size);
  for (let offset = place.dataAt; offset < place.end && !stream.done;) {
    const raw = await tools.pack.read(offset, Math.min(RAW_BYTES, place.end - offset));
    for (let at = 0; at < raw.length && !stream.done;) {
      const pieces: Uint8Array[] = [];
      let made = 0;
      at += stream.push(raw, at, Math.min(at + STEP_BYTES, raw.length), (piece) => {
        pieces.push(piece.slice());
        made += piece.length;
      });
      if (made > 0) yield pieces;
      if (tools.pacer.spend(made)) await tools.pacer.breathe();
    }
    offset += raw.length;
  }
  if (!stream.done) throw new HotpackError('malformed_pack', 'malformed pack: an entry is cut');
  tools.stats.inflated++;
  tools.stats.bytesInflated += place.size;
}
