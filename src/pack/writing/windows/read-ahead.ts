/**
 * Windows of a pack with their bytes, the next ones on their way while one is worked on: up to `READS_AT_ONCE` of them, as long as they
 * are no longer than one window together. So small windows that lie far apart do not wait for one another's journey, and long
 * ones are read one at a time. With `memory` they may lie in it, and whoever takes them gives them back there. Memory: two windows.
 */
import { throwIfAborted } from '../../../bytes/abort.ts';
import type { PackedObjects } from '../../reading/packed-objects.ts';
import type { ByteRange } from './pack-windows.ts';
import { WINDOW_BYTES } from './pack-windows.ts';
import type { WindowMemory } from './window-memory.ts';

/** As many as Node's file system works on at once; runtimes that limit connections allow six. */
export const READS_AT_ONCE = 4;

export interface ReadWindow<W extends ByteRange> {
  readonly window: W;
  /** All of it, but of a window longer than `WINDOW_BYTES` the first part. */
  readonly bytes: Uint8Array;
}

export async function* readAhead<W extends ByteRange>(
  store: PackedObjects,
  pack: number,
  windows: Iterator<W, void, undefined>,
  { signal, memory }: { readonly signal: AbortSignal; readonly memory?: WindowMemory },
): AsyncGenerator<ReadWindow<W>, void, undefined> {
  const started: { readonly window: W; readonly length: number; readonly reading: Promise<Uint8Array> }[] = [];
  let startedBytes = 0;
  let due = windows.next();
  const startMore = (): void => {
    while (due.done !== true && started.length < READS_AT_ONCE) {
      const window = due.value;
      const length = Math.min(window.to - window.from, WINDOW_BYTES);
      if (started.length > 0 && startedBytes + length > WINDOW_BYTES) return;
      const reading = store.readRange(pack, window.from, length, { signal, into: memory?.lend(length) });
      // Whoever leaves early never comes back for it.
      reading.catch(() => undefined);
      started.push({ window, length, reading });
      startedBytes += length;
      due = windows.next();
    }
  };
  startMore();
  for (let next = started.shift(); next !== undefined; next = started.shift()) {
    const { window, length, reading } = next;
    // oxlint-disable-next-line no-await-in-loop -- in the order of the pack
    const bytes = await reading;
    startedBytes -= length;
    throwIfAborted(signal);
    startMore();
    yield { window, bytes };
  }
}
