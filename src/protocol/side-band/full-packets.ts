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
/** A small pack costs one packet's room, a long one is gathered in runs of about a MiB. */
const FIRST_BUFFER_BYTES = FULL_PACKET_BYTES;
const BUFFER_BYTES = 16 * FULL_PACKET_BYTES;

/** Fills packets with what comes. Memory: one buffer of about a MiB, which goes out with the runs that lie in it. */
export class PacketFiller {
  #buffer: Uint8Array = new Uint8Array(FIRST_BUFFER_BYTES);
  /** Where the packet begins that is being filled, and the place of the next byte. */
  #packet = 0;
  #at = FRAME_BYTES;
  /** What was handed out of this buffer. */
  #taken = 0;

  /** Runs of whole packets that `bytes` has filled, about a MiB each at most. They are the taker's. */
  *push(bytes: Uint8Array): Generator<Uint8Array, void, void> {
    let from = 0;
    while (from < bytes.length) {
      const length = Math.min(bytes.length - from, this.#packet + FULL_PACKET_BYTES - this.#at);
      this.#buffer.set(bytes.subarray(from, from + length), this.#at);
      from += length;
      this.#at += length;
      if (this.#at < this.#packet + FULL_PACKET_BYTES) break;
      this.#endPacket();
      if (this.#packet < this.#buffer.length) continue;
      yield this.#take();
      this.#buffer = new Uint8Array(BUFFER_BYTES);
      this.#packet = this.#taken = 0;
      this.#at = FRAME_BYTES;
    }
    if (this.#packet > this.#taken) yield this.#take();
  }

  /** The last packet, which is shorter; undefined where the pack filled them all. */
  finish(): Uint8Array | undefined {
    if (this.#at === this.#packet + FRAME_BYTES) return undefined;
    this.#endPacket();
    return this.#take();
  }

  #endPacket(): void {
    writeLength(this.#at - this.#packet, this.#buffer, this.#packet);
    this.#buffer[this.#packet + HEADER_BYTES] = PACK_BAND;
    this.#packet = this.#at;
    this.#at += FRAME_BYTES;
  }

  #take(): Uint8Array {
    const run = this.#buffer.subarray(this.#taken, this.#packet);
    this.#taken = this.#packet;
    return run;
  }
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
