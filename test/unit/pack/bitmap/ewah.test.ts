import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeEwah, maxEwahBytes, orEwah, parseEwah, wordsOf, xorEwah } from '../../../../src/pack/bitmap/ewah.ts';

/** Sets of 64-bit words among which runs of zeros, runs of ones and mixed ones are alike common. */
const sets = fc
  .array(
    fc.tuple(
      fc.constantFrom<readonly [number, number] | undefined>([0, 0], [0xffffffff, 0xffffffff], undefined),
      fc.integer({ min: 1, max: 5 }),
      fc.nat(),
    ),
    { maxLength: 12 },
  )
  .map((runs) => {
    const words: number[] = [];
    for (const [clean, length, seed] of runs) {
      for (let i = 0; i < length; i++) words.push(...(clean ?? [Math.imul(seed + i, 0x9e3779b1) >>> 0, seed >>> 0]));
    }
    return Uint32Array.from(words);
  });

function encoded(words: Uint32Array): Uint8Array {
  const target = new Uint8Array(maxEwahBytes(words));
  return target.slice(0, encodeEwah(words, target));
}

describe('EWAH sets', () => {
  test('come back, wherever they lie', () => {
    fc.assert(
      fc.property(sets, fc.nat(9), (words, at) => {
        const file = new Uint8Array([...Buffer.alloc(at, 0xee), ...encoded(words), 0xee]);
        const ewah = parseEwah(file, at, words.length * 32);
        expect(ewah.end).toBe(file.length - 1);
        const back = new Uint32Array(words.length);
        orEwah(ewah, back);
        expect(back).toEqual(words);
      }),
    );
  });

  test('are combined with what is there', () => {
    fc.assert(
      fc.property(sets, sets, (left, right) => {
        const length = Math.max(left.length, right.length);
        const ewah = parseEwah(encoded(right), 0, length * 32);
        const or = new Uint32Array(length);
        or.set(left);
        const xor = or.slice();
        orEwah(ewah, or);
        xorEwah(ewah, xor);
        for (let i = 0; i < length; i++) {
          expect(or[i]).toBe(((left[i] ?? 0) | (right[i] ?? 0)) >>> 0);
          expect(xor[i]).toBe(((left[i] ?? 0) ^ (right[i] ?? 0)) >>> 0);
        }
      }),
    );
  });

  test('have the length that the format gives them', () => {
    // bits, words, a marker (no run, one word), that word, the last marker's place
    expect(Buffer.from(encoded(Uint32Array.of(5, 0))).toString('hex')).toBe(
      '0000004000000002' + '0000000200000000' + '0000000000000005' + '00000000',
    );
    // one marker: a run of three words of ones
    expect(Buffer.from(encoded(new Uint32Array(6).fill(0xffffffff))).toString('hex')).toBe(
      '000000c000000001' + '0000000000000007' + '00000000',
    );
    expect(Buffer.from(encoded(new Uint32Array(8))).toString('hex')).toBe(
      '0000000000000001' + '0'.repeat(16) + '00000000',
    );
    expect(wordsOf(65)).toBe(4);
  });

  test('never write beyond the set that they were checked against', () => {
    fc.assert(
      fc.property(sets, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }), (words, changes) => {
        const file = encoded(words);
        for (const [at, byte] of changes) file[at % file.length] = byte;
        let ewah;
        try {
          ewah = parseEwah(file, 0, words.length * 32);
        } catch (error) {
          expect(error).toMatchObject({ code: 'malformed_pack' });
          return;
        }
        // An array drops what is written beyond its end: this one would show it.
        const beyond = new Uint32Array(words.length + 4096);
        orEwah(ewah, beyond);
        expect(beyond.subarray(words.length).every((word) => word === 0)).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  test.each([
    ['is cut within its head', (file: Buffer) => file.subarray(0, 11)],
    ['is cut within its words', (file: Buffer) => file.subarray(0, file.length - 1)],
    ['has a run of more words than it has bits', (file: Buffer) => file.fill(0xff, 10, 16)],
    ['has a marker that promises more words than follow', (file: Buffer) => (file.writeUInt32BE(6, 8), file)],
    ['has its last marker beyond its words', (file: Buffer) => (file.writeUInt32BE(2, file.length - 4), file)],
  ])('are refused where one %s', (_, damage) => {
    const file = Buffer.from(encoded(Uint32Array.of(5, 0)));
    expect(() => parseEwah(damage(file), 0, 64 * 1000)).toThrow(/malformed bitmap/);
  });
});
