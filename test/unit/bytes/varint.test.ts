import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  createVarintCursor,
  MAX_VARINT_BYTES,
  offsetVarintBytes,
  readOffsetVarint,
  readSizeVarint,
  sizeVarintBytes,
  writeOffsetVarint,
  writeSizeVarint,
} from '../../../src/bytes/varint.ts';

const CODECS = [
  { name: 'size', read: readSizeVarint, write: writeSizeVarint, measure: sizeVarintBytes },
  { name: 'offset', read: readOffsetVarint, write: writeOffsetVarint, measure: offsetVarintBytes },
];
const numbers = fc.oneof(
  fc.maxSafeNat(),
  fc.nat(70_000),
  fc.integer({ min: 0, max: 53 }).map((n) => 2 ** n - 1),
);

describe.each(CODECS)('$name varint', ({ read, write, measure }) => {
  it('reads what it wrote, at any offset, and says how long it is', () => {
    fc.assert(
      fc.property(numbers, fc.nat(5), (value, offset) => {
        const bytes = new Uint8Array(offset + MAX_VARINT_BYTES).fill(0xff);
        const end = write(value, bytes, offset);
        expect(end - offset).toBe(measure(value));
        const cursor = createVarintCursor();
        read(bytes, offset, cursor);
        expect(cursor).toEqual({ value, nextOffset: end });
        for (let cut = offset; cut < end; cut++) {
          read(bytes.subarray(0, cut), offset, cursor);
          expect(cursor.nextOffset).toBe(-1);
        }
      }),
    );
  });

  it('refuses what is no safe number', () => {
    const cursor = createVarintCursor();
    const endless = new Uint8Array(64).fill(0xff);
    expect(() => read(endless, 0, cursor)).toThrow(expect.objectContaining({ code: 'malformed_pack' }));
    const zeros = new Uint8Array(64).fill(0x80);
    expect(() => read(zeros, 0, cursor)).toThrow(expect.objectContaining({ code: 'malformed_pack' }));
    for (const value of [-1, 0.5, Number.NaN, 2 ** 53]) {
      expect(() => write(value, endless, 0)).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
    }
  });
});

describe('varints as git writes them', () => {
  it.each([
    [0, '00'],
    [127, '7f'],
    [128, '8001'],
    [300, 'ac02'],
  ])('size %d is %s', (value, hex) => {
    const bytes = new Uint8Array(sizeVarintBytes(value));
    writeSizeVarint(value, bytes, 0);
    expect(Buffer.from(bytes).toString('hex')).toBe(hex);
  });

  it.each([
    [0, '00'],
    [127, '7f'],
    [128, '8000'],
    [16_511, 'ff7f'],
    [16_512, '808000'],
  ])('offset %d is %s', (value, hex) => {
    const bytes = new Uint8Array(offsetVarintBytes(value));
    writeOffsetVarint(value, bytes, 0);
    expect(Buffer.from(bytes).toString('hex')).toBe(hex);
  });

  it('goes on after the four size bits of an entry header', () => {
    const cursor = createVarintCursor();
    readSizeVarint(Uint8Array.of(0x02), 0, cursor, { initial: 5, shift: 4 });
    expect(cursor).toEqual({ value: 5 + 2 * 16, nextOffset: 1 });
  });
});
