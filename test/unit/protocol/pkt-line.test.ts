import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { packetsOf } from '../../../src/protocol/pkt-line/body.ts';
import { PktLineDecoder } from '../../../src/protocol/pkt-line/decoder.ts';
import type { Packet } from '../../../src/protocol/pkt-line/packet.ts';
import { bytesFromText, textFromBytes } from '../../../src/protocol/pkt-line/text.ts';
import { PktLineWriter } from '../../../src/protocol/pkt-line/writer.ts';
import { cut, cuts } from './random-cuts.ts';

const packet: fc.Arbitrary<Packet> = fc.oneof(
  fc.uint8Array({ maxLength: 60 }).map((payload) => ({ kind: 'data' as const, payload })),
  fc
    .integer({ min: 65000, max: 65516 })
    .map((length) => ({ kind: 'data' as const, payload: new Uint8Array(length).fill(length) })),
  fc.constantFrom<Packet>({ kind: 'flush' }, { kind: 'delim' }, { kind: 'response-end' }),
);

function encode(packets: readonly Packet[]): Uint8Array {
  const writer = new PktLineWriter();
  for (const one of packets) {
    if (one.kind === 'data') writer.data(one.payload);
    else if (one.kind === 'flush') writer.flush();
    else if (one.kind === 'delim') writer.delim();
    else writer.responseEnd();
  }
  return writer.bytes();
}

function decodeWhole(chunks: readonly Uint8Array[]): Packet[] {
  const decoder = new PktLineDecoder();
  const packets: Packet[] = [];
  for (const chunk of chunks) {
    decoder.push(chunk);
    for (let next = decoder.next(); next.kind !== 'need-more'; next = decoder.next()) {
      packets.push(next.kind === 'data' ? { kind: 'data', payload: next.payload.slice() } : next);
    }
  }
  expect(decoder.atBoundary).toBe(true);
  return packets;
}

function decodePieces(chunks: readonly Uint8Array[]): Packet[] {
  const decoder = new PktLineDecoder();
  const packets: Packet[] = [];
  let payload: number[] = [];
  for (const chunk of chunks) {
    decoder.push(chunk);
    for (let next = decoder.nextPiece(); next.kind !== 'need-more'; next = decoder.nextPiece()) {
      if (next.kind !== 'piece') {
        packets.push(next);
        continue;
      }
      expect(next.bytes.length === 0 || next.bytes.buffer === chunk.buffer).toBe(true);
      if (next.first) payload = [];
      for (const byte of next.bytes) payload.push(byte);
      if (next.last) packets.push({ kind: 'data', payload: Uint8Array.from(payload) });
    }
  }
  return packets;
}

describe('pkt-line', () => {
  it('reads what was written, cut anywhere, whole or in pieces', () => {
    fc.assert(
      fc.property(fc.array(packet, { maxLength: 8 }), cuts, (packets, places) => {
        const chunks = cut(encode(packets), places);
        expect(Buffer.compare(encode(decodeWhole(chunks)), encode(packets))).toBe(0);
        expect(Buffer.compare(encode(decodePieces(chunks)), encode(packets))).toBe(0);
      }),
      { numRuns: 60 },
    );
  });

  it('reads byte by byte', () => {
    const body = encode([{ kind: 'data', payload: bytesFromText('want\n') }, { kind: 'flush' }]);
    const chunks = Array.from(body, (byte) => Uint8Array.of(byte));
    expect(decodeWhole(chunks).map((one) => one.kind)).toEqual(['data', 'flush']);
    expect(decodePieces(chunks).map((one) => one.kind)).toEqual(['data', 'flush']);
  });

  it('gives views where a packet lies within a chunk', () => {
    const body = encode([{ kind: 'data', payload: new Uint8Array(1000) }]);
    const decoder = new PktLineDecoder();
    decoder.push(body);
    const next = decoder.next();
    expect(next.kind === 'data' && next.payload.buffer === body.buffer).toBe(true);
  });

  it('joins what is pushed before it was asked for', () => {
    const decoder = new PktLineDecoder();
    decoder.push(bytesFromText('0008'));
    decoder.push(bytesFromText('abcd0000'));
    expect(decoder.next()).toEqual({ kind: 'data', payload: bytesFromText('abcd') });
    expect(decoder.next().kind).toBe('flush');
    expect(decoder.next().kind).toBe('need-more');
  });

  it('takes upper-case lengths and up to 65520 bytes of payload, as git does', () => {
    const long = new Uint8Array(4 + 65520);
    long.set(bytesFromText('FFF4'));
    const [only] = [...packetsOf(long)];
    expect(only?.kind === 'data' && only.payload.length).toBe(65520);
  });

  it.each([
    ['0003', 'protocol error: bad line length 3'],
    ['fff5', 'protocol error: bad line length 65525'],
    ['ffff', 'protocol error: bad line length 65535'],
    ['00g0', 'protocol error: bad line length character: 00g0'],
    ['-001', 'protocol error: bad line length character: -001'],
    [' 004', 'protocol error: bad line length character:  004'],
    ['0x10', 'protocol error: bad line length character: 0x10'],
    ['GET ', 'protocol error: bad line length character: GET '],
    ['\u00b2\u00b2', 'protocol error: bad line length character: \u00b2\u00b2'],
  ])('refuses the length %j', (header, message) => {
    for (const method of ['next', 'nextPiece'] as const) {
      const decoder = new PktLineDecoder();
      decoder.push(bytesFromText(header));
      expect(() => decoder[method]()).toThrow(message);
    }
    expect(() => Array.from(packetsOf(bytesFromText(header)))).toThrow(
      expect.objectContaining({ code: 'malformed_pkt_line' }),
    );
  });

  it.each(['0', '00', '000', '0005', '0009want', 'fff0x'])('refuses a body cut at %j', (body) => {
    expect(() => [...packetsOf(bytesFromText(body))]).toThrow('the remote end hung up unexpectedly');
  });

  it('does not write what no reader takes', () => {
    expect(() => new PktLineWriter().data(new Uint8Array(65517))).toThrow('65516');
    expect(() => new PktLineWriter('sideband-all').data(new Uint8Array(65516))).toThrow('65516');
    expect(new PktLineWriter().data(new Uint8Array(65516)).byteLength).toBe(65520);
  });
});

describe('text', () => {
  it('gives every byte back', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.string({ unit: 'binary' }).map((text) => new TextEncoder().encode(text)),
      fc
        .array(fc.constantFrom(0xf0, 0x9f, 0x98, 0x80, 0xed, 0xa0, 0xef, 0xbf, 0xbd, 0x61, 0xe0, 0xc0, 0xf4, 0x90))
        .map((all) => Uint8Array.from(all)),
    );
    fc.assert(
      fc.property(bytes, (raw) => {
        expect(bytesFromText(textFromBytes(raw))).toEqual(raw);
      }),
      { numRuns: 500 },
    );
  });

  it('is plain UTF-8 where the bytes are', () => {
    for (const text of ['refs/heads/größe', '\ufffd', '\ufeffa', '😀']) {
      expect(textFromBytes(new TextEncoder().encode(text))).toBe(text);
    }
  });

  it('tells broken names apart', () => {
    expect(textFromBytes(Uint8Array.of(0x61, 0xff))).not.toBe(textFromBytes(Uint8Array.of(0x61, 0xfe)));
  });
});
