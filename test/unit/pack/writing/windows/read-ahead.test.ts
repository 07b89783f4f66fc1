import { expect, it } from 'vitest';
import type { PackedObjects } from '../../../../../src/pack/reading/packed-objects.ts';
import { type ByteRange, WINDOW_BYTES } from '../../../../../src/pack/writing/windows/pack-windows.ts';
import { readAhead, READS_AT_ONCE } from '../../../../../src/pack/writing/windows/read-ahead.ts';

/** Reads `windows` of a medium that answers in its own time; what was asked of it at most at once. */
async function readAll(windows: readonly ByteRange[]): Promise<{ reads: number; bytes: number; order: number[] }> {
  const most = { reads: 0, bytes: 0, order: [] as number[] };
  let reads = 0;
  let bytes = 0;
  const store = {
    async readRange(_: number, offset: number, length: number) {
      most.reads = Math.max(most.reads, ++reads);
      most.bytes = Math.max(most.bytes, (bytes += length));
      // The first ones are the slowest.
      for (let turn = 0; turn < 10 - (offset % 10); turn++) await Promise.resolve();
      reads--;
      bytes -= length;
      return new Uint8Array(length);
    },
  } as Partial<PackedObjects> as PackedObjects;
  const { signal } = new AbortController();
  for await (const { window } of readAhead(store, 0, windows.values(), { signal })) {
    most.order.push(window.from);
  }
  return most;
}

const apart = (length: number, count: number): ByteRange[] =>
  Array.from({ length: count }, (_, i) => ({ from: i * 10_000_001, to: i * 10_000_001 + length }));

it('reads small windows some at a time, and gives them in their order', async () => {
  const windows = apart(100, 20);
  const most = await readAll(windows);
  expect(most.reads).toBe(READS_AT_ONCE);
  expect(most.order).toEqual(windows.map(({ from }) => from));
});

it('holds no more than one window of what is on its way', async () => {
  expect(await readAll(apart(WINDOW_BYTES, 5))).toMatchObject({ reads: 1, bytes: WINDOW_BYTES });
  expect(await readAll(apart(5 * WINDOW_BYTES, 3))).toMatchObject({ reads: 1, bytes: WINDOW_BYTES });
  const half = Math.floor(WINDOW_BYTES / 2);
  expect(await readAll(apart(half, 9))).toMatchObject({ reads: 2, bytes: 2 * half });
  expect(await readAll(apart(half + 1, 9))).toMatchObject({ reads: 1, bytes: half + 1 });
});
