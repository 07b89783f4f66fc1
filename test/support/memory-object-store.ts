/**
 * A whole repository as an `ObjectStore` in memory, filled by `git cat-file`: what walks are tested over where
 * packs do not matter. With `cold` every object must be awaited once before it is cached.
 */
import { execFileSync } from 'node:child_process';
import { HotpackError } from '../../src/bytes/error.ts';
import { compareOidBytes, OID_BYTES, oidFromBytes, oidToBytes } from '../../src/bytes/oid.ts';
import type { ObjectType } from '../../src/pack/codec/object-type.ts';
import type { GitObject, ObjectStore } from '../../src/pack/object-store.ts';
import { gitEnvironment } from './git.ts';

const TYPES: Readonly<Record<string, ObjectType>> = { commit: 1, tree: 2, blob: 3, tag: 4 };

export interface MemoryObjects {
  readonly oids: readonly string[];
  readonly objects: readonly GitObject[];
}

/** All objects of the repository at `folder`, by ascending name. */
export function readObjects(folder: string): MemoryObjects {
  const out = execFileSync('git', ['cat-file', '--batch-all-objects', '--batch'], {
    cwd: folder,
    env: gitEnvironment(),
    maxBuffer: 1 << 30,
  });
  const oids: string[] = [];
  const objects: GitObject[] = [];
  for (let at = 0; at < out.length;) {
    const end = out.indexOf(10, at);
    const [oid = '', type = '', size = ''] = out.toString('latin1', at, end).split(' ');
    oids.push(oid);
    const content = new Uint8Array(out.subarray(end + 1, end + 1 + Number(size)));
    objects.push({ type: TYPES[type] as ObjectType, content });
    at = end + 1 + Number(size) + 1;
  }
  return { oids, objects };
}

/** `without` are left out, as if lost. */
export function memoryObjectStore(
  all: MemoryObjects,
  options: { readonly cold?: boolean; readonly without?: ReadonlySet<string> } = {},
): ObjectStore {
  const kept = all.oids.map((_, index) => index).filter((i) => !options.without?.has(all.oids[i] as string));
  const objects = kept.map((index) => all.objects[index] as GitObject);
  const names = new Uint8Array(kept.length * OID_BYTES);
  for (const [rank, index] of kept.entries()) {
    names.set(oidToBytes(all.oids[index] as string), rank * OID_BYTES);
  }
  const warm = new Set<number>();
  const findBytes = (table: Uint8Array, offset: number): number => {
    let low = 0;
    let high = kept.length - 1;
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const order = compareOidBytes(names, middle * OID_BYTES, table, offset);
      if (order === 0) return middle;
      if (order < 0) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  };
  const objectAt = (object: number): GitObject => {
    const found = objects[object];
    if (found === undefined) throw new HotpackError('invalid_argument', `no object ${object}`);
    return found;
  };
  return {
    objectCount: kept.length,
    find: (oid) => findBytes(oidToBytes(oid), 0),
    findBytes,
    oidOf: (object) => oidFromBytes(names, object * OID_BYTES),
    copyOid: (object, target, offset) => {
      target.set(names.subarray(object * OID_BYTES, (object + 1) * OID_BYTES), offset);
    },
    readCached: (object) => {
      if (options.cold === true && !warm.has(object)) return undefined;
      return objectAt(object);
    },
    async read(object) {
      await Promise.resolve();
      warm.add(object);
      return objectAt(object);
    },
    typeOf: async (object) => await Promise.resolve(objectAt(object).type),
    sizeOf: async (object) => await Promise.resolve(objectAt(object).content.length),
  };
}
