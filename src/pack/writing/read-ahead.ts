/** Windows of a pack with their bytes, the next one on its way while one is worked on. Memory: two windows. */
import { throwIfAborted } from '../../bytes/abort.ts';
import type { PackedObjects } from '../reading/packed-objects.ts';
import type { ByteRange } from './pack-windows.ts';
import { WINDOW_BYTES } from './pack-windows.ts';

export interface ReadWindow<W extends ByteRange> {
  readonly window: W;
  /** All of it, but of a window longer than `WINDOW_BYTES` the first part. */
  readonly bytes: Uint8Array;
}

export async function* readAhead<W extends ByteRange>(
  store: PackedObjects,
  pack: number,
  windows: Iterator<W, void, undefined>,
  signal: AbortSignal,
): AsyncGenerator<ReadWindow<W>, void, undefined> {
  const start = (): { readonly window: W; readonly reading: Promise<Uint8Array> } | undefined => {
    const { done, value: window } = windows.next();
    if (done === true) return undefined;
    const reading = store.readRange(pack, window.from, Math.min(window.to - window.from, WINDOW_BYTES), signal);
    // Whoever leaves early never comes back for it.
    reading.catch(() => undefined);
    return { window, reading };
  };
  let next = start();
  while (next !== undefined) {
    const { window, reading } = next;
    const bytes = await reading;
    throwIfAborted(signal);
    next = start();
    yield { window, bytes };
  }
}
