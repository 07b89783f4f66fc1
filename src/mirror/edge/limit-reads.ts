/**
 * A store out of which so many ranges may be read, for work that an event does besides: it has so many requests to the store, and
 * its main work needs them. One more read rejects with `limit_exceeded`.
 */
import { HotpackError } from '../../bytes/error.ts';
import type { Storage } from '../../storage/contract.ts';

export function limitReads(storage: Storage, maxReads: number): Storage {
  let reads = 0;
  const open: Storage['open'] = async (...args) => {
    const reader = await storage.open(...args);
    if (reader.kind === 'absent') return reader;
    return {
      ...reader,
      read(offset, length, signal) {
        if (++reads <= maxReads) return reader.read(offset, length, signal);
        const detail = { maxReads };
        return Promise.reject(new HotpackError('limit_exceeded', 'more reads of the store than may be', { detail }));
      },
    };
  };
  return new Proxy(storage, {
    get(target, property) {
      if (property === 'open') return open;
      const value: unknown = Reflect.get(target, property);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}
