/**
 * A pack as packets of side-band-64k, each but the last as full as a packet can be. So where a packet lies follows from its
 * number, how long the whole is from the length of the pack, and other framings can be cut from it piece by piece.
 */
import type { SideBand } from '../fetch-request.ts';
import { HEADER_BYTES } from '../pkt-line/packet.ts';
import { writeLength } from '../pkt-line/writer.ts';
import { frameBand, PACK_BAND, SIDE_BAND_PACKET_BYTES } from './frame.ts';

export const FULL_PACKET_BYTES: number = SIDE_BAND_PACKET_BYTES['side-band-64k'];
const FRAME_BYTES = HEADER_BYTES + 1;
const DATA_BYTES = FULL_PACKET_BYTES - FRAME_BYTES;
const RUN_PACKETS = 16;

/** Fills packets with what comes. Memory: the packet that is being filled. */
export class PacketFiller {
  readonly #packet = new Uint8Array(FULL_PACKET_BYTES);
  /** The place of its next byte. */
  #at = FRAME_BYTES;

  /** Runs of whole packets that `bytes` has filled, about a MiB each at most. They are the taker's, memory and all. */
  *push(bytes: Uint8Array): Generator<Uint8Array, void, void> {
    let from = 0;
    while (this.#at + bytes.length - from >= FULL_PACKET_BYTES) {
      const packets = Math.floor((this.#at - FRAME_BYTES + bytes.length - from) / DATA_BYTES);
      const run = new Uint8Array(Math.min(packets, RUN_PACKETS) * FULL_PACKET_BYTES);
      run.set(this.#packet.subarray(0, this.#at));
      for (let packet = 0; packet < run.length; packet += FULL_PACKET_BYTES) {
        const length = FULL_PACKET_BYTES - this.#at;
        run.set(bytes.subarray(from, from + length), packet + this.#at);
        writeFrame(run, packet, FULL_PACKET_BYTES);
        from += length;
        this.#at = FRAME_BYTES;
      }
      yield run;
    }
    this.#packet.set(from === 0 ? bytes : bytes.subarray(from), this.#at);
    this.#at += bytes.length - from;
  }

  /** The last packet, which is shorter; undefined where the pack filled them all. */
  finish(): Uint8Array | undefined {
    if (this.#at === FRAME_BYTES) return undefined;
    writeFrame(this.#packet, 0, this.#at);
    return this.#packet.subarray(0, this.#at);
  }
}

function writeFrame(bytes: Uint8Array, packet: number, length: number): void {
  writeLength(length, bytes, packet);
  bytes[packet + HEADER_BYTES] = PACK_BAND;
}

/** Bytes of a pack of `packBytes` in full packets. */
export function fullPacketsBytes(packBytes: number): number {
  return packBytes + Math.ceil(packBytes / DATA_BYTES) * FRAME_BYTES;
}

/** Pack bytes in `bytes` of whole packets. */
export function dataBytesIn(bytes: number): number {
  return bytes - Math.ceil(bytes / FULL_PACKET_BYTES) * FRAME_BYTES;
}

/** What is in whole packets, one view after the other; `run` begins where a packet does. */
export function* dataOfPackets(run: Uint8Array): Generator<Uint8Array, void, void> {
  for (let at = 0; at < run.length; at += FULL_PACKET_BYTES) {
    yield run.subarray(at + FRAME_BYTES, Math.min(at + FULL_PACKET_BYTES, run.length));
  }
}

/** Whole packets in another framing: as they are, in packets of 1000 bytes, or none. */
export function* cutPackets(run: Uint8Array, sideBand: SideBand): Generator<Uint8Array, void, void> {
  if (sideBand === 'side-band-64k') yield run;
  else for (const data of dataOfPackets(run)) yield* frameBand(PACK_BAND, data, sideBand);
}

/** How many bytes `cutPackets` makes of a pack of `packBytes`. */
export function cutBytes(packBytes: number, sideBand: SideBand): number {
  switch (sideBand) {
    case 'none':
      return packBytes;
    case 'side-band-64k':
      return fullPacketsBytes(packBytes);
    case 'side-band': {
      const cutOf = (bytes: number): number =>
        bytes + Math.ceil(bytes / (SIDE_BAND_PACKET_BYTES['side-band'] - FRAME_BYTES)) * FRAME_BYTES;
      return Math.floor(packBytes / DATA_BYTES) * cutOf(DATA_BYTES) + cutOf(packBytes % DATA_BYTES);
    }
  }
}
