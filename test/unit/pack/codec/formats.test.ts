import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { writeOffsetVarint, writeSizeVarint } from '../../../../src/bytes/varint.ts';
import { createDeltaStream } from '../../../../src/pack/codec/delta-stream.ts';
import { applyDelta } from '../../../../src/pack/codec/delta.ts';
import {
  createEntryHeader,
  NEED_MORE_INPUT,
  parseEntryHeader,
  writeEntryHeader,
} from '../../../../src/pack/codec/entry-header.ts';
import { parseIdx, writeIdx } from '../../../../src/pack/codec/idx.ts';
import type { EntryType } from '../../../../src/pack/codec/object-type.ts';
import { parsePackHeader, writePackHeader } from '../../../../src/pack/codec/pack-header.ts';
import { parseRev, writeRev } from '../../../../src/pack/codec/rev.ts';
import { sortByName } from '../../../../src/pack/indexing/connect/name-order.ts';
import { makeDelta } from '../indexing/judge.ts';

test('entry headers come back, and ask for more where they are cut', () => {
  const safe = fc.oneof(fc.nat(), fc.maxSafeNat());
  fc.assert(
    fc.property(fc.constantFrom(1, 2, 3, 4, 6, 7), safe, safe, (type, size, distance) => {
      const bytes = new Uint8Array(40).fill(0xee);
      let end = writeEntryHeader(bytes, 3, type as EntryType, size);
      if (type === 6) end = writeOffsetVarint(Math.max(1, distance), bytes, end);
      const baseAt = end;
      if (type === 7) end += 20;
      const header = createEntryHeader();
      expect(parseEntryHeader(bytes, 3, bytes.length, header)).toBe(end - 3);
      expect(header).toEqual({
        type,
        size,
        baseDistance: type === 6 ? Math.max(1, distance) : 0,
        baseOidAt: type === 7 ? baseAt : -1,
      });
      for (let cut = 3; cut < end; cut++) {
        expect(parseEntryHeader(bytes, 3, cut, header)).toBe(NEED_MORE_INPUT);
      }
    }),
  );
});

test('sizes and distances beyond 2^53 are refused', () => {
  const header = createEntryHeader();
  const size = Buffer.from([0xbf, ...Array.from({ length: 9 }, () => 0xff), 0x7f]);
  expect(() => parseEntryHeader(size, 0, size.length, header)).toThrow('2^53');
  const distance = Buffer.from([0x60, ...Array.from({ length: 9 }, () => 0xff), 0x7f]);
  expect(() => parseEntryHeader(distance, 0, distance.length, header)).toThrow('2^53');
});

test('pack headers', () => {
  for (const objects of [0, 1, 0xffffffff]) expect(parsePackHeader(writePackHeader(objects))).toEqual({ objects });
  for (const objects of [-1, 2 ** 32, 1.5]) expect(() => writePackHeader(objects)).toThrow('entries');
});

describe('deltas', () => {
  const base = fc.uint8Array({ minLength: 1, maxLength: 70_000 });
  const pieces = fc.array(
    fc.oneof(fc.tuple(fc.nat(), fc.nat()), fc.string({ minLength: 1, maxLength: 127, unit: 'grapheme-ascii' })),
    { maxLength: 12 },
  );
  const made = fc.tuple(base, pieces).map(([bytes, parts]) => {
    const instructions = parts.map((part) => {
      if (typeof part === 'string') return part;
      const offset = part[0] % bytes.length;
      return [offset, 1 + (part[1] % (bytes.length - offset))] as const;
    });
    const result = Buffer.concat(
      instructions.map((one) => (typeof one === 'string' ? Buffer.from(one) : bytes.subarray(one[0], one[0] + one[1]))),
    );
    return { bytes, result, delta: makeDelta(bytes.length, result.length, instructions) };
  });

  test('make what they say, whole and in pieces', () => {
    fc.assert(
      fc.property(made, fc.integer({ min: 1, max: 50 }), ({ bytes, result, delta }, piece) => {
        expect(Buffer.compare(applyDelta(bytes, delta), result)).toBe(0);
        const stream = createDeltaStream(bytes.length);
        const parts: Buffer[] = [];
        for (let at = 0; at < delta.length; at += piece) {
          for (const one of stream.push(delta.subarray(at, at + piece))) {
            parts.push(
              Buffer.from(one.kind === 'insert' ? one.bytes : bytes.subarray(one.offset, one.offset + one.bytes)),
            );
          }
        }
        stream.finish();
        expect(stream.header).toEqual({ baseSize: bytes.length, resultSize: result.length });
        expect(Buffer.compare(Buffer.concat(parts), result)).toBe(0);
      }),
    );
  });

  test('cut anywhere they are malformed, whole and in pieces', () => {
    fc.assert(
      fc.property(made, fc.nat(), ({ bytes, delta }, where) => {
        const cut = delta.subarray(0, where % delta.length);
        const inPieces = (): void => {
          const stream = createDeltaStream(bytes.length);
          for (const one of stream.push(cut)) expect(one).toBeDefined();
          stream.finish();
        };
        // Cut behind its header, a delta without instructions may be one of no bytes.
        if (cut.length > 0 && makesNothing(delta)) return;
        expect(() => applyDelta(bytes, cut)).toThrow('malformed delta');
        expect(inPieces).toThrow('malformed delta');
      }),
    );
  });

  test('a copy of size 0 is one of 65,536 bytes', () => {
    const bytes = new Uint8Array(70_000).map((_, at) => at % 251);
    const header = new Uint8Array(8);
    const end = writeSizeVarint(65_536, header, writeSizeVarint(70_000, header, 0));
    const delta = Buffer.concat([header.subarray(0, end), Buffer.from([0x81, 100])]);
    expect(Buffer.compare(applyDelta(bytes, delta), bytes.subarray(100, 65_636))).toBe(0);
  });

  function makesNothing(delta: Uint8Array): boolean {
    return delta.length <= 4 && delta.at(-1) === 0;
  }
});

describe('idx and rev', () => {
  const far = [12, 2 ** 31 - 1, 2 ** 31, 2 ** 32 + 5, 2 ** 45 + 1];
  const names = new Uint8Array(20 * far.length).map((_, at) => (at * 89) & 0xff);
  const order = sortByName(names, far.length);
  const packChecksum = new Uint8Array(20).fill(7);
  const crcs = Uint32Array.from(far, (_, n) => 0xfffffff0 + n);
  const file = writeIdx({ names, crcs, offsets: far, order, packChecksum });

  test('offsets of 2^31 and more', () => {
    const idx = parseIdx(file, { verifyChecksum: true });
    expect(idx.objects).toBe(far.length);
    expect(idx.packChecksum).toBe('07'.repeat(20));
    const target = new Uint8Array(20);
    for (const [entry, offset] of far.entries()) {
      const position = idx.find(names, entry * 20);
      expect(order[position]).toBe(entry);
      expect(idx.offsetAt(position)).toBe(offset);
      expect(idx.crcAt(position)).toBe(crcs[entry]);
      idx.copyOid(position, target, 0);
      expect(target).toEqual(names.slice(entry * 20, entry * 20 + 20));
      expect(idx.oidAt(position)).toBe(Buffer.from(target).toString('hex'));
    }
    expect(idx.find(new Uint8Array(20).fill(200), 0)).toBe(-1);
    expect(idx.fanout(0)).toBe(0);
    expect(idx.fanout(256)).toBe(far.length);
    expect(() => idx.offsetAt(far.length)).toThrow('beyond');
  });

  test('an idx that is wrong is refused', () => {
    const change = (at: number, byte: number): Uint8Array => {
      const copy = file.slice();
      copy[at] = byte;
      return copy;
    };
    expect(() => parseIdx(change(0, 1))).toThrow('version');
    expect(() => parseIdx(change(7, 1))).toThrow('version');
    expect(() => parseIdx(change(8, 9))).toThrow('fanout');
    expect(() => parseIdx(change(8 + 4 * 255, 1))).toThrow('short');
    expect(() => parseIdx(file.subarray(0, 500))).toThrow('short');
    expect(() => parseIdx(file.subarray(0, file.length - 1))).toThrow('length');
    expect(() => parseIdx(change(1040, 1), { verifyChecksum: true })).toThrow('checksum');
  });

  test('rev', () => {
    const positions = Uint32Array.of(3, 0, 2, 1);
    const rev = writeRev(positions, packChecksum);
    expect(parseRev(rev, 4, { verifyChecksum: true })).toEqual({
      objects: 4,
      packChecksum: '07'.repeat(20),
      positions,
    });
    expect(() => parseRev(rev, 3)).toThrow('length');
    const wrong = rev.slice();
    wrong[15] = 4;
    expect(() => parseRev(wrong, 4)).toThrow('beyond');
    wrong[15] = 2;
    expect(() => parseRev(wrong, 4, { verifyChecksum: true })).toThrow('checksum');
    wrong[0] = 0;
    expect(() => parseRev(wrong, 4)).toThrow('version');
  });

  test('names are sorted, equal ones by entry, in crowded buckets too', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 300 }), { maxLength: 400 }), (keys) => {
        const table = new Uint8Array(keys.length * 20);
        for (const [entry, key] of keys.entries()) {
          table[entry * 20] = key & 1;
          table[entry * 20 + 19] = key >> 1;
        }
        const sorted = keys
          .map((_, entry) => entry)
          .sort((a, b) => {
            const [left, right] = [keys[a] as number, keys[b] as number];
            return (left & 1) - (right & 1) || (left >> 1) - (right >> 1) || a - b;
          });
        expect([...sortByName(table, keys.length)]).toEqual(sorted);
      }),
    );
  });
});
