/**
 * An object filter as the walk asks it: every part of a combination narrows one of four conditions, and what
 * is kept satisfies all of them.
 */
import { HotpackError } from '../../../bytes/error.ts';
import { OBJ_BLOB, OBJ_COMMIT, OBJ_TAG, OBJ_TREE, type ObjectType } from '../../codec/object-type.ts';
import type { ObjectFilter } from '../../selection.ts';
import type { WalkContext } from '../walk-context.ts';
import { parseSparsePatterns, type SparsePatterns } from './sparse-patterns.ts';

export interface CompiledFilter {
  /** Blobs of this many bytes or more are left out; Infinity = none are. */
  readonly blobBytes: number;
  /** Trees and blobs this deep or deeper are left out, a root tree being at 0; Infinity = none are. */
  readonly treeDepth: number;
  /** Which types are kept, one bit a type (1 << type). */
  readonly types: number;
  readonly sparse: readonly SparsePatterns[];
}

const ALL_TYPES = typeBit(OBJ_COMMIT) | typeBit(OBJ_TREE) | typeBit(OBJ_BLOB) | typeBit(OBJ_TAG);
const TYPES: Readonly<Record<'commit' | 'tree' | 'blob' | 'tag', ObjectType>> = {
  commit: OBJ_COMMIT,
  tree: OBJ_TREE,
  blob: OBJ_BLOB,
  tag: OBJ_TAG,
};
/** A sparse filter's blob is a list of patterns that a person wrote. */
const MAX_PATTERN_BYTES = 1 << 20;
const MAX_PARTS = 64;

export const KEEP_ALL: CompiledFilter = {
  blobBytes: Number.POSITIVE_INFINITY,
  treeDepth: Number.POSITIVE_INFINITY,
  types: ALL_TYPES,
  sparse: [],
};

/**
 * Reads what the filter refers to. `not_our_ref` where a sparse filter's object is absent, `unsupported` where
 * it is no blob, `limit_exceeded` where it or the number of parts is out of all proportion.
 */
export async function compileFilter(context: WalkContext, filter: ObjectFilter): Promise<CompiledFilter> {
  let compiled = KEEP_ALL;
  const pending: ObjectFilter[] = [filter];
  for (let parts = 0; pending.length > 0; parts++) {
    if (parts + pending.length > MAX_PARTS) {
      throw new HotpackError('limit_exceeded', `a filter of more than ${MAX_PARTS} parts`);
    }
    const part = pending.pop() as ObjectFilter;
    switch (part.kind) {
      case 'none':
        break;
      case 'blob-none':
        compiled = { ...compiled, blobBytes: 0 };
        break;
      case 'blob-limit':
        compiled = { ...compiled, blobBytes: Math.min(compiled.blobBytes, part.bytes) };
        break;
      case 'tree':
        compiled = { ...compiled, treeDepth: Math.min(compiled.treeDepth, part.depth) };
        break;
      case 'object-type':
        compiled = { ...compiled, types: compiled.types & typeBit(TYPES[part.type]) };
        break;
      case 'sparse-oid': {
        const patterns = await readPatterns(context, part.oid);
        compiled = { ...compiled, sparse: [...compiled.sparse, patterns] };
        break;
      }
      case 'combine':
        pending.push(...part.parts);
        break;
    }
  }
  return compiled;
}

export function keepsType(filter: CompiledFilter, type: ObjectType): boolean {
  return (filter.types & typeBit(type)) !== 0;
}

/** Whether nothing is left out: then a client that uses this filter has all that its commits reach. */
export function keepsEverything(filter: CompiledFilter): boolean {
  return (
    filter.types === ALL_TYPES &&
    filter.treeDepth === Number.POSITIVE_INFINITY &&
    filter.blobBytes === Number.POSITIVE_INFINITY &&
    filter.sparse.length === 0
  );
}

function typeBit(type: ObjectType): number {
  return 1 << type;
}

async function readPatterns(context: WalkContext, oid: string): Promise<SparsePatterns> {
  const { store, signal } = context;
  const blob = store.find(oid);
  if (blob < 0) {
    throw new HotpackError('not_our_ref', `the sparse filter's blob ${oid} does not exist here`, {
      detail: { object: oid },
    });
  }
  if ((await store.typeOf(blob, signal)) !== OBJ_BLOB) {
    throw new HotpackError('unsupported', `the sparse filter's object ${oid} is not a blob`, {
      detail: { object: oid },
    });
  }
  const bytes = await store.sizeOf(blob, signal);
  if (bytes > MAX_PATTERN_BYTES) {
    throw new HotpackError('limit_exceeded', `the sparse filter's blob ${oid} is too large`, {
      detail: { object: oid, bytes, max: MAX_PATTERN_BYTES },
    });
  }
  return parseSparsePatterns((await store.read(blob, signal)).content);
}
