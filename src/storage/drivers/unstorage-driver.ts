/**
 * The part of a driver object that makes it unstorage's too: `createStorage({ driver })` keeps small values in the same store.
 * unstorage's keys are `a:b:c` for `a/b/c`; what our keys do not take is `invalid_argument` there as well. A value is written as an
 * object (unstorage's own meta `a:b:c$` as `a/b/c%24`); documents can be read, not written, this way. `getKeys` and `clear`
 * keep to their base.
 */
import type { Driver } from 'unstorage';
import { HotpackError } from '../../bytes/error.ts';
import type { Storage } from '../contract.ts';
import { listObjects } from '../listing.ts';

/** What every driver of ours returns. */
export type DriverStorage = Storage & UnstorageDriver;

export type UnstorageDriver = Pick<
  Required<Driver>,
  | 'name'
  | 'hasItem'
  | 'getItem'
  | 'getItemRaw'
  | 'setItem'
  | 'setItemRaw'
  | 'removeItem'
  | 'getKeys'
  | 'getMeta'
  | 'clear'
  | 'dispose'
>;

/** Values through unstorage are whole in memory; larger ones are no values. */
const MAX_ITEM_BYTES = 64 * 1024 * 1024;

/** Gives `storage` the methods of an unstorage driver. */
export function withUnstorageDriver<T extends Storage>(name: string, storage: T): T & UnstorageDriver {
  async function read(item: string): Promise<Uint8Array | null> {
    const key = toKey(item);
    const object = await storage.readAll(key, MAX_ITEM_BYTES);
    if (object.kind === 'found') return object.bytes;
    const document = await storage.readDocument(key);
    return document.kind === 'found' ? document.bytes : null;
  }
  async function keysUnder(base: string | undefined): Promise<string[]> {
    // unstorage's types promise a base; of a root mount it passes none.
    const prefix = toKey(base ?? '');
    const keys: string[] = [];
    for await (const { key } of listObjects(storage, prefix)) keys.push(key);
    return keys;
  }
  const driver: UnstorageDriver = {
    name,
    async hasItem(item) {
      const key = toKey(item);
      if ((await storage.head(key)).kind !== 'absent') return true;
      return (await storage.readDocument(key)).kind === 'found';
    },
    async getItem(item) {
      const bytes = await read(item);
      return bytes === null ? null : new TextDecoder().decode(bytes);
    },
    getItemRaw: (item) => read(item),
    setItem: (item, value) => storage.put(toKey(item), new TextEncoder().encode(value)),
    setItemRaw: async (item, value: unknown) => storage.put(toKey(item), toBytes(item, value)),
    removeItem: (item) => storage.delete([toKey(item)]),
    async getMeta(item) {
      const info = await storage.head(toKey(item));
      return info.kind === 'absent' ? null : { size: info.bytes, mtime: new Date(info.modifiedAtMs) };
    },
    getKeys: async (base) => (await keysUnder(base)).map(toItem),
    clear: async (base) => storage.delete(await keysUnder(base)),
    dispose: () => storage.close(),
  };
  return Object.assign(storage, driver);
}

function toKey(item: string): string {
  return item.replaceAll(':', '/').replace(/\$$/, '%24');
}

function toItem(key: string): string {
  return key.replaceAll('/', ':').replace(/%24$/, '$');
}

function toBytes(item: string, value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value;
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  if (typeof value === 'string') return new TextEncoder().encode(value);
  throw new HotpackError('invalid_argument', 'a raw value is bytes or a string', { detail: { item } });
}
