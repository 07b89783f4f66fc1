/**
 * Cuts a byte stream, split anywhere, into packets. Two ways to take them, chosen packet by packet:
 * `next` gives whole packets (copied only where a chunk's end cuts one), `nextPiece` gives the bytes of a packet as
 * far as they are here, always as views of the pushed chunks, so that pack data is never copied.
 * Holds at most one chunk and one packet (64 KiB).
 */
import { HotpackError } from '../../bytes/error.ts';
import {
  DELIM,
  FLUSH,
  HEADER_BYTES,
  MAX_READ_PAYLOAD_BYTES,
  NEED_MORE,
  RESPONSE_END,
  type NeedMore,
  type Packet,
} from './packet.ts';
import { textFromBytes } from './text.ts';

/** Bytes of one data packet: `first` and `last` mark its ends, both at once where it came whole. */
export interface PacketPiece {
  readonly kind: 'piece';
  readonly bytes: Uint8Array;
  readonly first: boolean;
  readonly last: boolean;
}

export type ControlPacket = Exclude<Packet, { readonly kind: 'data' }>;

const EMPTY = new Uint8Array(0);

export class PktLineDecoder {
  #chunk: Uint8Array = EMPTY;
  #offset = 0;
  readonly #header = new Uint8Array(HEADER_BYTES);
  #headerBytes = 0;
  /** Bytes of the present packet's payload that were not handed out yet; -1 between packets. */
  #missing = -1;
  #pieceGiven = false;
  /** The payload so far of a packet that `next` must put together. */
  #partial: Uint8Array | undefined;

  /** Adds bytes. `chunk` is not copied: it must not change before it has been decoded. */
  push(chunk: Uint8Array): void {
    const rest = this.#chunk.length - this.#offset;
    if (rest === 0) {
      this.#chunk = chunk;
    } else {
      const joined = new Uint8Array(rest + chunk.length);
      joined.set(this.#chunk.subarray(this.#offset));
      joined.set(chunk, rest);
      this.#chunk = joined;
    }
    this.#offset = 0;
  }

  /** False while a packet is begun: a stream that ends then was cut. Unread bytes count as begun. */
  get atBoundary(): boolean {
    return this.#missing < 0 && this.#headerBytes === 0 && this.#offset === this.#chunk.length;
  }

  /** The next packet. A payload may be a view of a pushed chunk. Throws `malformed_pkt_line`. */
  next(): Packet | NeedMore {
    const control = this.#enterPacket();
    if (control !== undefined) return control;
    const available = this.#chunk.length - this.#offset;
    if (this.#partial === undefined && available >= this.#missing) {
      return { kind: 'data', payload: this.#leavePacket(this.#take(this.#missing)) };
    }
    const part = this.#take(Math.min(this.#missing, available));
    this.#partial ??= new Uint8Array(this.#missing);
    this.#partial.set(part, this.#partial.length - this.#missing);
    this.#missing -= part.length;
    if (this.#missing > 0) return NEED_MORE;
    return { kind: 'data', payload: this.#leavePacket(this.#partial) };
  }

  /** The next bytes of the present packet or the start of the next one. Must not follow a `next` that needed more. */
  nextPiece(): PacketPiece | ControlPacket | NeedMore {
    if (this.#partial !== undefined) {
      throw new HotpackError('invalid_argument', 'a packet is being read whole');
    }
    const control = this.#enterPacket();
    if (control !== undefined) return control;
    const available = this.#chunk.length - this.#offset;
    if (available === 0 && this.#missing > 0) return NEED_MORE;
    const bytes = this.#take(Math.min(this.#missing, available));
    const first = !this.#pieceGiven;
    this.#pieceGiven = true;
    this.#missing -= bytes.length;
    const last = this.#missing === 0;
    if (last) this.#leavePacket(bytes);
    return { kind: 'piece', bytes, first, last };
  }

  /** Reads the length where it is due. Undefined inside a data packet. */
  #enterPacket(): ControlPacket | NeedMore | undefined {
    if (this.#missing >= 0) return undefined;
    while (this.#headerBytes < HEADER_BYTES) {
      if (this.#offset === this.#chunk.length) return NEED_MORE;
      this.#header[this.#headerBytes++] = this.#chunk[this.#offset++] as number;
    }
    this.#headerBytes = 0;
    const packetBytes = parseLength(this.#header);
    if (packetBytes === 0) return FLUSH as ControlPacket;
    if (packetBytes === 1) return DELIM as ControlPacket;
    if (packetBytes === 2) return RESPONSE_END as ControlPacket;
    const payloadBytes = packetBytes - HEADER_BYTES;
    if (payloadBytes < 0 || payloadBytes > MAX_READ_PAYLOAD_BYTES) {
      throw new HotpackError('malformed_pkt_line', `protocol error: bad line length ${packetBytes}`, {
        detail: { packetBytes },
      });
    }
    this.#missing = payloadBytes;
    return undefined;
  }

  #take(count: number): Uint8Array {
    const bytes = this.#chunk.subarray(this.#offset, this.#offset + count);
    this.#offset += count;
    return bytes;
  }

  #leavePacket(payload: Uint8Array): Uint8Array {
    this.#missing = -1;
    this.#pieceGiven = false;
    this.#partial = undefined;
    return payload;
  }
}

function parseLength(header: Uint8Array): number {
  let length = 0;
  for (const digit of header) {
    const value = hexValue(digit);
    if (value < 0) {
      throw new HotpackError(
        'malformed_pkt_line',
        `protocol error: bad line length character: ${textFromBytes(header)}`,
        { detail: { header: Array.from(header) } },
      );
    }
    length = length * 16 + value;
  }
  return length;
}

function hexValue(digit: number): number {
  if (digit >= 0x30 && digit <= 0x39) return digit - 0x30;
  const lower = digit | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}
