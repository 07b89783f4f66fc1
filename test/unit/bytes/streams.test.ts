import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { atLeast, iterateStream, readAllBytes, readAllStream, streamFrom } from '../../../src/bytes/streams.ts';

const chunk = (...bytes: number[]): Uint8Array => Uint8Array.of(...bytes);

/** A source that counts what is taken from it and says whether it was stopped. */
function createSource(count: number) {
  const state = { taken: 0, returned: 0, cancelled: 0 };
  async function* iterable(): AsyncGenerator<Uint8Array> {
    try {
      for (let i = 0; i < count; i++) {
        state.taken++;
        yield chunk(i);
      }
    } finally {
      state.returned++;
    }
  }
  const stream = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        if (state.taken === count) controller.close();
        else controller.enqueue(chunk(state.taken++));
      },
      cancel() {
        state.cancelled++;
      },
    },
    { highWaterMark: 0 },
  );
  return { state, iterable, stream };
}

describe('iterateStream', () => {
  it('gives all chunks and unlocks the stream', async () => {
    const { stream, state } = createSource(3);
    const got: number[] = [];
    for await (const bytes of iterateStream(stream)) got.push(bytes[0] as number);
    expect(got).toEqual([0, 1, 2]);
    expect(stream.locked).toBe(false);
    expect(state.cancelled).toBe(0);
  });

  it('cancels the stream when it is left or its loop throws', async () => {
    const left = createSource(9);
    for await (const bytes of iterateStream(left.stream)) if (bytes[0] === 1) break;
    expect(left.state).toMatchObject({ taken: 2, cancelled: 1 });
    const thrown = createSource(9);
    const loop = async (): Promise<void> => {
      for await (const bytes of iterateStream(thrown.stream)) throw new Error(`at ${bytes[0]}`);
    };
    await expect(loop()).rejects.toThrow('at 0');
    expect(thrown.state).toMatchObject({ taken: 1, cancelled: 1 });
  });

  it('ends a pending read when the signal fires', async () => {
    const controller = new AbortController();
    let cancelled = false;
    const silent = new ReadableStream<Uint8Array>({
      cancel() {
        cancelled = true;
      },
    });
    const reading = readAllStream(silent, 10, controller.signal);
    controller.abort();
    await expect(reading).rejects.toMatchObject({ code: 'aborted' });
    expect(cancelled).toBe(true);
  });

  it('passes on the error of its source', async () => {
    const failing = streamFrom(
      (async function* () {
        yield chunk(1);
        throw new Error('cut');
      })(),
    );
    await expect(readAllStream(failing, 10)).rejects.toThrow('cut');
  });
});

describe('streamFrom', () => {
  it('takes nothing ahead and returns the iterator when cancelled', async () => {
    const { state, iterable } = createSource(9);
    const reader = streamFrom(iterable()).getReader();
    await new Promise((resolve) => setImmediate(resolve));
    expect(state.taken).toBe(0);
    await reader.read();
    expect(state.taken).toBe(1);
    await reader.cancel();
    expect(state).toMatchObject({ taken: 1, returned: 1 });
  });
});

describe('readAllBytes', () => {
  it('stops the source above its bound', async () => {
    const { state, iterable } = createSource(100);
    await expect(readAllBytes(iterable(), 5)).rejects.toMatchObject({ code: 'limit_exceeded' });
    expect(state).toMatchObject({ taken: 6, returned: 1 });
    expect(await readAllBytes(createSource(5).iterable(), 5)).toEqual(chunk(0, 1, 2, 3, 4));
  });
});

describe('atLeast', () => {
  it('keeps the bytes and makes every chunk but the last long enough', async () => {
    const sources = fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(sources, fc.integer({ min: 1, max: 40 }), async (source, minBytes) => {
        const got: Uint8Array[] = [];
        for await (const bytes of atLeast(source, minBytes)) got.push(bytes);
        expect(Buffer.concat(got)).toEqual(Buffer.concat(source));
        for (const bytes of got.slice(0, -1)) expect(bytes.length).toBeGreaterThanOrEqual(minBytes);
        expect(got.at(-1)?.length).not.toBe(0);
      }),
    );
  });
});
