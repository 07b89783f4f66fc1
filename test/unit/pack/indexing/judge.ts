/** Indexes packs with ours and with git, side by side, and makes packs that break their format. */
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import { expect } from 'vitest';
import { isHotpackError } from '../../../../src/bytes/error.ts';
import type { ErrorCode, HotpackError } from '../../../../src/bytes/error.ts';
import { writeOffsetVarint, writeSizeVarint } from '../../../../src/bytes/varint.ts';
import { writeEntryHeader } from '../../../../src/pack/codec/entry-header.ts';
import type { EntryType } from '../../../../src/pack/codec/object-type.ts';
import { writePackHeader } from '../../../../src/pack/codec/pack-header.ts';
import type { IndexedPack, IndexPackInput } from '../../../../src/pack/indexing/index-pack.ts';
import { indexPack } from '../../../../src/pack/indexing/index-pack.ts';
import type { StorageWriter } from '../../../../src/storage/contract.ts';
import { createMemoryStorage } from '../../../../src/storage/drivers/memory.ts';
import { temporaryFolder } from '../../../support/git.ts';
import { gitBytes } from '../../../support/packed-repository.ts';

export type Indexed = Extract<IndexedPack, { kind: 'indexed' }>;

export interface Run {
  readonly indexed: IndexedPack;
  /** What the writer holds afterwards. */
  readonly pack: Uint8Array;
  readonly scratchOpened: number;
  readonly scratchAborted: number;
}

export async function* inChunks(bytes: Uint8Array, chunkBytes: number): AsyncGenerator<Uint8Array, void> {
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    await Promise.resolve();
    yield bytes.slice(at, at + chunkBytes);
  }
}

export async function run(
  pack: Uint8Array,
  options: Partial<IndexPackInput> & { readonly chunkBytes?: number } = {},
): Promise<Run> {
  const storage = createMemoryStorage();
  const writer = await storage.openWriter('objects/pack/pack-x.pack');
  let scratchOpened = 0;
  let scratchAborted = 0;
  const indexed = await indexPack({
    chunks: inChunks(pack, options.chunkBytes ?? 10_000),
    writer,
    existing: undefined,
    tips: [],
    memoryBytes: 32 << 20,
    openScratch: async (): Promise<StorageWriter> => {
      const scratch = await storage.openWriter(`scratch/${++scratchOpened}`);
      return new Proxy(scratch, {
        get(target, key) {
          if (key === 'abort') scratchAborted++;
          const value: unknown = Reflect.get(target, key);
          return typeof value === 'function' ? (value.bind(target) as unknown) : value;
        },
      });
    },
    signal: new AbortController().signal,
    ...options,
  });
  const written = await writer.read(0, writer.bytesWritten);
  return { indexed, pack: written, scratchOpened, scratchAborted };
}

/** idx and rev as git makes them of `pack`, in a repository that knows nothing else. */
export function indexByGit(pack: Uint8Array): { readonly idx: Buffer; readonly rev: Buffer } {
  const folder = mkdtempSync(join(temporaryFolder('judge'), 'p-'));
  writeFileSync(join(folder, 'p.pack'), pack);
  gitBytes(['index-pack', '--rev-index', 'p.pack'], folder);
  return { idx: readFileSync(join(folder, 'p.idx')), rev: readFileSync(join(folder, 'p.rev')) };
}

/** Indexes with ours and expects what git makes of the bytes that were written. */
export async function expectAsGit(
  pack: Uint8Array,
  options: Partial<IndexPackInput> & { readonly chunkBytes?: number } = {},
): Promise<Run & { readonly indexed: Indexed }> {
  const ours = await run(pack, options);
  const { indexed } = ours;
  if (indexed.kind !== 'indexed') throw new Error('the pack is empty');
  const judge = indexByGit(ours.pack);
  expect(Buffer.from(indexed.idx).equals(judge.idx), 'idx').toBe(true);
  expect(Buffer.from(indexed.rev).equals(judge.rev), 'rev').toBe(true);
  expect(indexed.packBytes).toBe(ours.pack.length);
  expect(indexed.checksum).toBe(Buffer.from(ours.pack.subarray(-20)).toString('hex'));
  expect(ours.scratchAborted).toBe(ours.scratchOpened);
  return { ...ours, indexed };
}

/** The code that indexing fails with. */
export async function failure(
  pack: Uint8Array,
  options: Partial<IndexPackInput> & { readonly chunkBytes?: number } = {},
): Promise<{ readonly code: ErrorCode; readonly message: string; readonly detail: HotpackError['detail'] }> {
  try {
    await run(pack, options);
  } catch (error) {
    if (isHotpackError(error)) return { code: error.code, message: error.message, detail: error.detail };
    throw error;
  }
  throw new Error('it was accepted');
}

export interface MadeEntry {
  readonly type: number;
  readonly data: Uint8Array;
  /** Declared size, where it lies. */
  readonly size?: number;
  /** ofs-delta: the number of the base entry. */
  readonly baseEntry?: number;
  /** ofs-delta: a distance that lies. */
  readonly distance?: number;
  /** ref-delta. */
  readonly baseOid?: string;
  /** Instead of the deflated data. */
  readonly raw?: Uint8Array;
}

export function makePack(entries: readonly MadeEntry[], options: { readonly count?: number } = {}): Buffer {
  const parts: Uint8Array[] = [writePackHeader(options.count ?? entries.length)];
  const offsets: number[] = [];
  let offset = 12;
  for (const entry of entries) {
    offsets.push(offset);
    const header = new Uint8Array(64);
    let end = writeEntryHeader(header, 0, entry.type as EntryType, entry.size ?? entry.data.length);
    if (entry.type === 6) {
      end = writeOffsetVarint(entry.distance ?? offset - (offsets[entry.baseEntry ?? 0] as number), header, end);
    }
    if (entry.type === 7) {
      header.set(Buffer.from(entry.baseOid ?? '', 'hex'), end);
      end += 20;
    }
    const raw = entry.raw ?? deflateSync(entry.data);
    parts.push(header.slice(0, end), raw);
    offset += end + raw.length;
  }
  return sealed(Buffer.concat(parts));
}

/** The body with the right trailer. */
export function sealed(body: Uint8Array): Buffer {
  return Buffer.concat([body, createHash('sha1').update(body).digest()]);
}

export function oidOf(type: string, content: Uint8Array): string {
  return createHash('sha1').update(`${type} ${content.length}\0`).update(content).digest('hex');
}

/** A delta: sizes and instructions. `copy` [offset, bytes] or text to insert. */
export function makeDelta(
  baseSize: number,
  resultSize: number,
  instructions: readonly (string | readonly [number, number])[],
): Buffer {
  const header = new Uint8Array(24);
  const end = writeSizeVarint(resultSize, header, writeSizeVarint(baseSize, header, 0));
  const parts: Uint8Array[] = [header.subarray(0, end)];
  for (const one of instructions) {
    if (typeof one === 'string') {
      parts.push(Uint8Array.of(one.length), Buffer.from(one, 'latin1'));
    } else {
      const [offset, bytes] = one;
      parts.push(
        Uint8Array.of(
          0xff,
          offset & 0xff,
          (offset >> 8) & 0xff,
          (offset >> 16) & 0xff,
          offset >>> 24,
          bytes & 0xff,
          (bytes >> 8) & 0xff,
          (bytes >> 16) & 0xff,
        ),
      );
    }
  }
  return Buffer.concat(parts);
}
