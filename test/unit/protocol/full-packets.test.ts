import { expect, test } from 'vitest';
import type { SideBand } from '../../../src/protocol/fetch-request.ts';
import {
  cutBytes,
  cutPackets,
  dataBytesIn,
  dataOfPackets,
  FULL_PACKET_BYTES,
  fullPacketsBytes,
  PacketFiller,
} from '../../../src/protocol/side-band/full-packets.ts';
import { cut } from '../../support/pkt-lines.ts';

const DATA = FULL_PACKET_BYTES - 5;

function pack(bytes: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, i) => (i * 31) >> 3);
}

/** The runs that a pack handed over in pieces of `step` bytes fills. */
function fill(bytes: Uint8Array, step: number): Uint8Array[] {
  const filler = new PacketFiller();
  const runs: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += step) runs.push(...filler.push(bytes.subarray(at, at + step)));
  const last = filler.finish();
  return last === undefined ? runs : [...runs, last];
}

const sizes = [0, 1, DATA - 1, DATA, DATA + 1, 3 * DATA, 17 * DATA + 5, 40 * DATA];

test.each(sizes.flatMap((bytes) => [1_000, DATA, 300_000, 5_000_000].map((step) => [bytes, step] as const)))(
  '%i bytes in pieces of %i fill packets to the brim',
  (bytes, step) => {
    const runs = fill(pack(bytes), step);
    const whole = Buffer.concat(runs);
    expect(whole.length).toBe(fullPacketsBytes(bytes));
    expect(dataBytesIn(whole.length)).toBe(bytes);
    const { packets } = cut(whole);
    const sent = packets.map((one) => (one.kind === 'data' ? one.payload : Buffer.alloc(0)));
    expect(sent.every((one, n) => one[0] === 1 && (one.length === DATA + 1 || n === sent.length - 1))).toBe(true);
    expect(Buffer.concat(sent.map((one) => one.subarray(1))).equals(Buffer.from(pack(bytes)))).toBe(true);
    // Every run begins where a packet does, and has memory of its own, which its taker can give back.
    expect(runs.slice(0, -1).every((run) => run.length === run.buffer.byteLength)).toBe(true);
    let at = 0;
    for (const run of runs) {
      expect(at % FULL_PACKET_BYTES).toBe(0);
      at += run.length;
    }
    expect(Buffer.concat([...dataOfPackets(whole)]).equals(Buffer.from(pack(bytes)))).toBe(true);
  },
);

test.each<SideBand>(['none', 'side-band', 'side-band-64k'])(
  '%s can be cut from them, of the length foretold',
  (band) => {
    for (const bytes of sizes) {
      const pieces = fill(pack(bytes), 100_000).flatMap((run) => [...cutPackets(run, band)]);
      const whole = Buffer.concat(pieces);
      expect(whole.length).toBe(cutBytes(bytes, band));
      const { packets } = band === 'none' ? { packets: [] } : cut(whole);
      const data = packets.flatMap((one) => (one.kind === 'data' ? [one.payload.subarray(1)] : []));
      if (band === 'side-band') expect(data.every((one) => one.length <= 995)).toBe(true);
      const got = band === 'none' ? whole : Buffer.concat(data);
      expect(got.equals(Buffer.from(pack(bytes)))).toBe(true);
    }
  },
);
