import { describe, expect, test } from 'vitest';
import {
  type AnswerHeader,
  encodeAnswerHeader,
  headerBytesOf,
  HEADER_START_BYTES,
  parseAnswerHeader,
} from '../../../../src/answers/stored/answer-header.ts';
import { fullPacketsBytes } from '../../../../src/protocol/side-band/full-packets.ts';
import { a, b } from '../support.ts';

const fields = { packBytes: 1234, objects: 5, costUs: 67_890.4, tags: a, shallow: [a, b], unshallow: [b] };
const encoded = encodeAnswerHeader(fields);
const objectBytes = encoded.length + fullPacketsBytes(1234) + 4;

test('comes back as it was, told from its start alone how long it is', () => {
  const header: AnswerHeader = { ...fields, costUs: 67_890, headerBytes: encoded.length };
  expect(parseAnswerHeader(encoded, objectBytes)).toEqual(header);
  expect(headerBytesOf(encoded.subarray(0, HEADER_START_BYTES))).toBe(encoded.length);
  const bare = encodeAnswerHeader({ ...fields, tags: undefined, shallow: [], unshallow: [] });
  expect(parseAnswerHeader(bare, bare.length + fullPacketsBytes(1234) + 4)).toMatchObject({
    tags: undefined,
    shallow: [],
    unshallow: [],
  });
});

test('its numbers can be written again in place', () => {
  const making = encodeAnswerHeader({ ...fields, packBytes: 0, objects: 0, costUs: 1 });
  expect(making.length).toBe(encoded.length);
  const differ = encoded.findLastIndex((byte, i) => making[i] !== byte);
  expect(differ).toBeLessThan(HEADER_START_BYTES);
});

describe('is none where', () => {
  const text = new TextDecoder().decode(encoded);
  const changed = (from: string | RegExp, to: string): Uint8Array => new TextEncoder().encode(text.replace(from, to));
  test.each<[string, Uint8Array, number]>([
    ['the object is shorter', encoded, objectBytes - 1],
    ['the object is longer', encoded, objectBytes + 1],
    ['the pack was never whole', encodeAnswerHeader({ ...fields, packBytes: 0 }), encoded.length + 4],
    ['it is cut', encoded.subarray(0, -1), objectBytes],
    ['the format is another one', changed('answer 1', 'answer 2'), objectBytes],
    ['a line is unknown', changed('unshallow', 'unhallowed'.slice(0, 9)), objectBytes],
    ['a name is none', changed(`shallow ${b}`, `shallow ${'x'.repeat(40)}`), objectBytes],
    ['it is nothing', new Uint8Array(0), objectBytes],
    ['it is noise', new Uint8Array(500).fill(0xff), 500],
  ])('%s', (_, bytes, length) => {
    expect(parseAnswerHeader(bytes, length)).toBeUndefined();
  });
});
