import { describe, expect, it } from 'vitest';
import { openPieces } from '../../../src/bytes/pieces.ts';
import { turnsDuring } from '../../support/turns.ts';

const MIB = 1024 * 1024;

/** A body whose next bytes are always there already: at most 4 KiB at a time, or as many as there is room for. */
function hotBody(bytes: number): { readonly stream: ReadableStream<Uint8Array>; readonly state: { reads: number } } {
  const state = { reads: 0 };
  let left = bytes;
  const stream = new ReadableStream({
    type: 'bytes',
    pull(controller) {
      state.reads++;
      const view = controller.byobRequest?.view;
      const length = Math.min(left, view?.byteLength ?? 4_096);
      left -= length;
      if (view === undefined || view === null) controller.enqueue(new Uint8Array(length));
      else controller.byobRequest?.respond(length);
      if (left > 0) return;
      controller.close();
      controller.byobRequest?.respond(0);
    },
  });
  return { stream, state };
}

async function readOut(stream: ReadableStream<Uint8Array>): Promise<number> {
  const pieces = openPieces(stream);
  let bytes = 0;
  for (let piece = await pieces.next(); piece !== undefined; piece = await pieces.next()) bytes += piece.length;
  return bytes;
}

describe('openPieces', () => {
  it('lets everything else run after every MiB, though the next bytes are always there', async () => {
    for (const stream of [hotBody(16 * MIB).stream, plainBody(16 * MIB)]) {
      const reading = readOut(stream);
      const turns = await turnsDuring(reading);
      expect(await reading).toBe(16 * MIB);
      expect(turns).toBeGreaterThanOrEqual(15);
    }
  });

  it('reads as much as is there at once, in place of the 4 KiB that a runtime gives', async () => {
    const { stream, state } = hotBody(16 * MIB);
    expect(await readOut(stream)).toBe(16 * MIB);
    expect(state.reads).toBeLessThanOrEqual(16 * 16 + 1);
  });

  it('gives few bytes as they come, in memory of their own length', async () => {
    const { stream } = hotBody(100);
    const pieces = openPieces(stream);
    const piece = await pieces.next();
    expect([piece?.length, piece?.buffer.byteLength]).toEqual([100, 100]);
    expect(await pieces.next()).toBeUndefined();
  });

  it('cancels the source, and rejects as it fails', async () => {
    let reason: unknown;
    const left = openPieces(new ReadableStream({ type: 'bytes', cancel: (why) => void (reason = why) }));
    await left.cancel('enough');
    expect(reason).toBe('enough');
    const broken = openPieces(new ReadableStream({ type: 'bytes', pull: (to) => to.error(new Error('cut')) }));
    await expect(broken.next()).rejects.toThrow('cut');
  });
});

function plainBody(bytes: number): ReadableStream<Uint8Array> {
  let left = bytes;
  return new ReadableStream<Uint8Array>({
    pull(controller) {
      const piece = new Uint8Array(Math.min(left, 4_096));
      left -= piece.length;
      controller.enqueue(piece);
      if (left === 0) controller.close();
    },
  });
}
