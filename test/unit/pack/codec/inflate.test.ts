/* oxlint-disable vitest/expect-expect, vitest/no-conditional-expect -- fc.assert does */
import * as zlib from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isHotpackError } from '../../../../src/bytes/error.ts';
import { NEED_MORE_INPUT } from '../../../../src/pack/codec/entry-header.ts';
import { createInflateStream } from '../../../../src/pack/codec/inflate-stream.ts';
import { inflateInto, inflateWhole } from '../../../../src/pack/codec/inflate.ts';

/** Content from noise to runs, so that every kind of block and code length comes up. */
const content = fc
  .record({
    parts: fc.array(
      fc.oneof(
        fc.uint8Array({ maxLength: 2000 }),
        fc
          .tuple(fc.integer({ min: 0, max: 255 }), fc.integer({ min: 0, max: 70_000 }))
          .map(([byte, n]) => Buffer.alloc(n, byte)),
        fc
          .array(fc.constantFrom('tree ', 'parent ', 'the ', 'of\n', '{ }', '0a1b'), { maxLength: 900 })
          .map((words) => Buffer.from(words.join(''))),
      ),
      { maxLength: 6 },
    ),
    again: fc.boolean(),
  })
  .map(({ parts, again }) => Buffer.concat(again ? [...parts, ...parts] : parts));

const options = fc.record({
  level: fc.integer({ min: 0, max: 9 }),
  memLevel: fc.integer({ min: 1, max: 9 }),
  windowBits: fc.integer({ min: 9, max: 15 }),
  strategy: fc.constantFrom(
    zlib.constants.Z_DEFAULT_STRATEGY,
    zlib.constants.Z_FILTERED,
    zlib.constants.Z_HUFFMAN_ONLY,
    zlib.constants.Z_RLE,
    zlib.constants.Z_FIXED,
  ),
});

const equal = (left: Uint8Array, right: Uint8Array): boolean => Buffer.compare(left, right) === 0;

function streamed(
  input: Uint8Array,
  size: number,
  piece: number,
): { readonly output: Buffer; readonly consumed: number; readonly done: boolean } {
  const stream = createInflateStream(size);
  const parts: Buffer[] = [];
  let at = 0;
  while (!stream.done && at < input.length) {
    at += stream.push(input, at, Math.min(at + piece, input.length), (part) => parts.push(Buffer.from(part)));
  }
  return { output: Buffer.concat(parts), consumed: at, done: stream.done };
}

describe('what zlib deflates', () => {
  test('comes back, with the length it took', () => {
    fc.assert(
      fc.property(content, options, fc.uint8Array({ maxLength: 40 }), (data, how, after) => {
        const deflated = zlib.deflateSync(data, how);
        const input = Buffer.concat([after, deflated, after]);
        const output = new Uint8Array(data.length);
        const start = after.length;
        expect(inflateInto(input, start, input.length, output)).toBe(deflated.length);
        expect(equal(output, data)).toBe(true);
        expect(equal(inflateWhole(input, start, input.length, data.length), data)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  test('comes back in pieces of any length', () => {
    fc.assert(
      fc.property(content, options, fc.integer({ min: 1, max: 3000 }), (data, how, piece) => {
        const deflated = zlib.deflateSync(data, how);
        const { output, consumed, done } = streamed(
          Buffer.concat([deflated, Buffer.from('behind')]),
          data.length,
          piece,
        );
        expect(done).toBe(true);
        expect(consumed).toBe(deflated.length);
        expect(equal(output, data)).toBe(true);
      }),
      { numRuns: 200 },
    );
  });

  test('flushed in the middle, with empty stored blocks', async () => {
    const deflate = zlib.createDeflate();
    const chunks: Buffer[] = [];
    deflate.on('data', (chunk: Buffer) => chunks.push(chunk));
    for (let n = 0; n < 20; n++) {
      deflate.write(`part ${n} `.repeat(n * 10));
      await new Promise<void>((resolve) => deflate.flush(() => resolve()));
    }
    await new Promise((resolve) => {
      deflate.on('end', resolve);
      deflate.end();
    });
    const deflated = Buffer.concat(chunks);
    const data = zlib.inflateSync(deflated);
    const output = new Uint8Array(data.length);
    expect(inflateInto(deflated, 0, deflated.length, output)).toBe(deflated.length);
    expect(equal(output, data)).toBe(true);
    expect(streamed(deflated, data.length, 1).done).toBe(true);
  });
});

describe('what is wrong', () => {
  test('cut anywhere, it asks for more', () => {
    fc.assert(
      fc.property(content, options, fc.double({ min: 0, max: 1, noNaN: true }), (data, how, share) => {
        const deflated = zlib.deflateSync(data, how);
        const end = Math.min(deflated.length - 1, Math.floor(share * deflated.length));
        expect(inflateInto(deflated, 0, end, new Uint8Array(data.length))).toBe(NEED_MORE_INPUT);
        expect(streamed(deflated.subarray(0, end), data.length, 1000).done).toBe(false);
        expect(() => inflateWhole(deflated, 0, end, data.length)).toThrow('zlib stream');
      }),
      { numRuns: 200 },
    );
  });

  test('changed anywhere, it makes the same bytes or none', () => {
    fc.assert(
      fc.property(content, options, fc.nat(), fc.integer({ min: 1, max: 255 }), (data, how, where, change) => {
        const deflated = Buffer.from(zlib.deflateSync(data, how));
        const at = where % deflated.length;
        deflated[at] = (deflated[at] as number) ^ change;
        const output = new Uint8Array(data.length);
        for (const inflate of [
          () => inflateInto(deflated, 0, deflated.length, output) >= 0,
          () => {
            const made = streamed(deflated, data.length, 777);
            output.set(made.output.subarray(0, output.length));
            return made.done;
          },
        ]) {
          try {
            if (inflate()) expect(equal(output, data)).toBe(true);
          } catch (error) {
            if (!isHotpackError(error, 'malformed_pack')) throw error;
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  test('noise never makes it hang or throw anything else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(5000), (noise, size) => {
        const input = Buffer.concat([Buffer.from([0x78, 0x9c]), noise]);
        try {
          inflateInto(input, 0, input.length, new Uint8Array(size));
        } catch (error) {
          if (!isHotpackError(error, 'malformed_pack')) throw error;
        }
      }),
      { numRuns: 2000 },
    );
  });

  test('longer or shorter than declared, of any length', () => {
    for (const bytes of [0, 1, 300, 70_000]) {
      const deflated = zlib.deflateSync(Buffer.alloc(bytes, 'x'));
      for (const size of [bytes - 1, bytes + 1]) {
        if (size < 0) continue;
        const all = deflated.length;
        expect(() => inflateInto(deflated, 0, all, new Uint8Array(size))).toThrow('than declared');
        expect(() => inflateWhole(deflated, 0, all, size)).toThrow('zlib stream');
        expect(() => streamed(deflated, size, 100)).toThrow('than declared');
      }
    }
    expect(() => inflateWhole(zlib.deflateSync('x'), 0, 9, 2 ** 40)).toThrow('than declared');
  });

  test('a preset dictionary, another method, a bad header check', () => {
    for (const head of [
      [0x78, 0xbb],
      [0x79, 0x9c],
      [0x78, 0x9d],
      [0x88, 0x1c],
    ]) {
      const input = Buffer.concat([Buffer.from(head), Buffer.alloc(20)]);
      expect(() => inflateInto(input, 0, input.length, new Uint8Array(1))).toThrow('zlib stream');
    }
  });
});
