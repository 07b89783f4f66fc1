import { expect, test } from 'vitest';
import { parseV2Command } from '../../../src/protocol/v2-command.ts';
import { createCommandParser } from '../../../src/serve/parsed-commands.ts';

const fetch = (oid: string): Uint8Array =>
  new TextEncoder().encode(`0012command=fetch\n0001${lineOf(`want ${oid}`)}${lineOf('done')}0000`);
const lineOf = (text: string): string => `${(text.length + 5).toString(16).padStart(4, '0')}${text}\n`;

function counting(): { parse: typeof parseV2Command; parsed: () => number } {
  let parsed = 0;
  const parse = createCommandParser((body) => {
    parsed++;
    return parseV2Command(body);
  });
  return { parse, parsed: () => parsed };
}

test('the same bytes are parsed once, others by themselves', () => {
  const { parse, parsed } = counting();
  const first = parse(fetch('a'.repeat(40)));
  expect(parse(fetch('a'.repeat(40)))).toBe(first);
  expect(parse(fetch('b'.repeat(40)))).toMatchObject({ kind: 'fetch', request: { wants: ['b'.repeat(40)] } });
  expect(parsed()).toBe(2);
});

test('bytes that are no UTF-8 are not taken for each other', () => {
  const { parse, parsed } = counting();
  const named = (byte: number): Uint8Array => {
    const text = `0014command=ls-refs\n0001${lineOf('ref-prefix x')}0000`;
    const bytes = new TextEncoder().encode(text);
    bytes[text.indexOf('prefix x') + 7] = byte;
    return bytes;
  };
  expect(parse(named(0xff))).not.toEqual(parse(named(0xfe)));
  expect(parsed()).toBe(2);
});

test('what cannot be parsed is refused each time, and long questions are not kept', () => {
  const { parse, parsed } = counting();
  const malformed = new TextEncoder().encode('zzzz');
  expect(() => parse(malformed)).toThrow('protocol error: bad line length character: zzzz');
  expect(() => parse(malformed)).toThrow('protocol error: bad line length character: zzzz');
  const long = new TextEncoder().encode(`0012command=fetch\n0001${lineOf(`want ${'a'.repeat(40)}`).repeat(100)}0000`);
  expect(parse(long)).toEqual(parse(long));
  expect(parsed()).toBe(4);
});
