import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SideBand } from '../../../src/protocol/fetch-request.ts';
import { writeErrorPacket } from '../../../src/protocol/error-packet.ts';
import { PktLineDecoder } from '../../../src/protocol/pkt-line/decoder.ts';
import { bytesFromText } from '../../../src/protocol/pkt-line/text.ts';
import { SideBandDemultiplexer, type SideBandEvent } from '../../../src/protocol/side-band/demultiplexer.ts';
import {
  encodeBand,
  frameBand,
  writeKeepAlive,
  writeSideBandEnd,
  writeSideBandError,
} from '../../../src/protocol/side-band/frame.ts';
import { cut, cuts } from './random-cuts.ts';

function demultiplex(chunks: readonly Uint8Array[]): { events: SideBandEvent[]; copied: number } {
  const decoder = new PktLineDecoder();
  const demultiplexer = new SideBandDemultiplexer(decoder);
  const events: SideBandEvent[] = [];
  let copied = 0;
  for (const chunk of chunks) {
    decoder.push(chunk);
    for (let event = demultiplexer.next(); event.kind !== 'need-more'; event = demultiplexer.next()) {
      if ('bytes' in event && event.bytes.buffer !== chunk.buffer) copied += event.bytes.length;
      events.push(event);
    }
  }
  return { events, copied };
}

function joined(parts: Iterable<Uint8Array>): Uint8Array {
  return Uint8Array.from(Buffer.concat([...parts]));
}

function bytesOn(kind: 'pack' | 'progress', events: readonly SideBandEvent[]): Uint8Array {
  return joined(events.flatMap((event) => (event.kind === kind ? [event.bytes] : [])));
}

const framed = fc.constantFrom<Exclude<SideBand, 'none'>>('side-band', 'side-band-64k');

describe('side-band', () => {
  it('gives back what was framed, cut anywhere, without a copy', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 5000 }),
        fc.uint8Array({ maxLength: 90 }),
        framed,
        cuts,
        (pack, progress, sideBand, places) => {
          const wire = joined([
            ...frameBand(2, progress, sideBand),
            writeKeepAlive(sideBand),
            ...frameBand(1, pack, sideBand),
            writeSideBandEnd(sideBand),
          ]);
          const { events, copied } = demultiplex(cut(wire, places));
          expect(Buffer.compare(bytesOn('pack', events), pack)).toBe(0);
          expect(bytesOn('progress', events)).toEqual(progress);
          expect(events.at(-1)?.kind).toBe('flush');
          expect(copied).toBe(0);
        },
      ),
    );
  });

  it('fills packets to 65520 and 1000 bytes in buffers of a MiB', () => {
    const pack = new Uint8Array(3 << 20).map((_, index) => index % 251);
    const large = [...frameBand(1, pack, 'side-band-64k')];
    expect(large).toHaveLength(4);
    expect(large.every((buffer) => buffer.length <= 1 << 20)).toBe(true);
    expect(Buffer.from(large[0] as Uint8Array).toString('latin1', 0, 5)).toBe('fff0\u0001');
    expect(Buffer.compare(joined(large), encodeBand(1, pack, 'side-band-64k'))).toBe(0);
    const small = encodeBand(1, pack, 'side-band');
    expect(Buffer.from(small).toString('latin1', 0, 5)).toBe('03e8\u0001');
    expect(small.length).toBe(pack.length + 5 * Math.ceil(pack.length / 995));
    expect(Buffer.compare(bytesOn('pack', demultiplex([small]).events), pack)).toBe(0);
  });

  it('without side-band passes pack bytes and has no place for the rest', () => {
    const pack = Uint8Array.of(1, 2, 3);
    expect([...frameBand(1, pack, 'none')]).toEqual([pack]);
    expect([...frameBand(2, pack, 'none'), ...frameBand(3, pack, 'none')]).toEqual([]);
    expect(
      writeSideBandError('x', 'none').length + writeSideBandEnd('none').length + writeKeepAlive('none').length,
    ).toBe(0);
  });

  it('tells an error in the words it came in, cut anywhere', () => {
    for (const wire of [writeSideBandError('fatal: größer\n', 'side-band-64k'), writeErrorPacket('fatal: größer')]) {
      for (let place = 0; place <= wire.length; place++) {
        const { events } = demultiplex([wire.slice(0, place), wire.slice(place)]);
        expect(events).toEqual([{ kind: 'error', message: 'fatal: größer' }]);
      }
    }
  });

  it.each([
    ['an empty packet', '0004', 'no band designator'],
    ['band 0', '0006\u0000a', 'bad band #0'],
    ['band 4', '0006\u0004a', 'bad band #4'],
    ['a line', '0009hello', 'bad band #104'],
    ['a bad length', '0003', 'bad line length 3'],
  ])('refuses %s', (_, wire, message) => {
    expect(() => demultiplex([bytesFromText(wire)])).toThrow(message);
  });
});
