/**
 * The multiplexer (gitprotocol-pack, "Packfile Data"): band 1 pack bytes, band 2 progress, band 3 a fatal error.
 * Bytes are copied once, into buffers of up to a MiB that hold many packets: a header and a view for each packet
 * would cost a stream more than the copy does.
 */
import type { SideBand } from '../fetch-request.ts';
import { HEADER_BYTES } from '../pkt-line/packet.ts';
import { bytesFromText } from '../pkt-line/text.ts';
import { writeLength } from '../pkt-line/writer.ts';

export type Band = 1 | 2 | 3;

export const PACK_BAND = 1;
export const PROGRESS_BAND = 2;
export const ERROR_BAND = 3;

/** Bytes of a full packet, header and band included. */
export const SIDE_BAND_PACKET_BYTES: Readonly<Record<Exclude<SideBand, 'none'>, number>> = {
  'side-band': 1000,
  'side-band-64k': 65520,
};

const FRAME_BYTES = HEADER_BYTES + 1;
const BUFFER_BYTES = 1 << 20;

/**
 * `bytes` on `band`, packets as full as they can be. Without side-band, pack bytes go as they are and everything
 * else has no place: nothing is yielded.
 */
export function* frameBand(band: Band, bytes: Uint8Array, sideBand: SideBand): Generator<Uint8Array, void, void> {
  if (sideBand === 'none') {
    if (band === PACK_BAND && bytes.length > 0) yield bytes;
    return;
  }
  const packetBytes = SIDE_BAND_PACKET_BYTES[sideBand];
  const dataBytes = packetBytes - FRAME_BYTES;
  const step = Math.floor(BUFFER_BYTES / packetBytes) * dataBytes;
  for (let start = 0; start < bytes.length; start += step) {
    yield framePart(band, bytes.subarray(start, start + step), dataBytes);
  }
}

/** The same in one buffer, for what is known to be small. */
export function encodeBand(band: Band, bytes: Uint8Array, sideBand: SideBand): Uint8Array {
  if (sideBand === 'none') return band === PACK_BAND ? bytes : new Uint8Array(0);
  return framePart(band, bytes, SIDE_BAND_PACKET_BYTES[sideBand] - FRAME_BYTES);
}

/** A fatal error in the middle of a pack. Empty without side-band: there only a cut stream can tell. */
export function writeSideBandError(message: string, sideBand: SideBand): Uint8Array {
  return encodeBand(ERROR_BAND, bytesFromText(message), sideBand);
}

/** What git sends to keep a quiet connection open: an empty packet on band 1. */
export function writeKeepAlive(sideBand: SideBand): Uint8Array {
  return sideBand === 'none' ? new Uint8Array(0) : bytesFromText('0005\u0001');
}

/** How the framed pack ends: a flush with side-band, nothing without. */
export function writeSideBandEnd(sideBand: SideBand): Uint8Array {
  return sideBand === 'none' ? new Uint8Array(0) : bytesFromText('0000');
}

function framePart(band: Band, bytes: Uint8Array, dataBytes: number): Uint8Array {
  const packets = Math.ceil(bytes.length / dataBytes);
  const framed = new Uint8Array(bytes.length + packets * FRAME_BYTES);
  let to = 0;
  for (let from = 0; from < bytes.length; from += dataBytes) {
    const part = bytes.subarray(from, from + dataBytes);
    writeLength(FRAME_BYTES + part.length, framed, to);
    framed[to + HEADER_BYTES] = band;
    framed.set(part, to + FRAME_BYTES);
    to += FRAME_BYTES + part.length;
  }
  return framed;
}
