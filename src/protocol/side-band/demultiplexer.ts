/**
 * The demultiplexer: framed bytes, split anywhere, into bands. Pack and progress bytes come as views of the pushed
 * chunks and as soon as they are here, so a 64 KiB packet is neither awaited nor copied; only an error's
 * words (one packet) are put together.
 */
import { HotpackError } from '../../bytes/error.ts';
import { parseErrorPacket } from '../error-packet.ts';
import type { ControlPacket, PacketPiece, PktLineDecoder } from '../pkt-line/decoder.ts';
import type { NeedMore } from '../pkt-line/packet.ts';
import { textFromBytes } from '../pkt-line/text.ts';
import { ERROR_BAND, PACK_BAND, PROGRESS_BAND } from './frame.ts';

export type SideBandEvent =
  | { readonly kind: 'pack'; readonly bytes: Uint8Array }
  /** As the sender cut it: lines may be spread over several, and end in \r or \n. */
  | { readonly kind: 'progress'; readonly bytes: Uint8Array }
  /** Band 3, or an ERR packet in a band's place. The other side has given up. */
  | { readonly kind: 'error'; readonly message: string }
  | ControlPacket
  | NeedMore;

export class SideBandDemultiplexer {
  readonly #decoder: PktLineDecoder;
  #band = 0;
  #message: Uint8Array[] = [];

  /** Takes the packets of `decoder` from where it stands: the owner pushes into that. */
  constructor(decoder: PktLineDecoder) {
    this.#decoder = decoder;
  }

  /** The next event; empty pack packets (keep-alives) are passed over. Throws `malformed_pkt_line`. */
  next(): SideBandEvent {
    for (;;) {
      const piece = this.#decoder.nextPiece();
      if (piece.kind !== 'piece') return piece;
      const bytes = piece.first ? this.#enterBand(piece) : piece.bytes;
      if (this.#band === PACK_BAND || this.#band === PROGRESS_BAND) {
        if (bytes.length === 0) continue;
        return { kind: this.#band === PACK_BAND ? 'pack' : 'progress', bytes };
      }
      // The message outlives the chunk: the owner of the chunk may use it again.
      this.#message.push(bytes.slice());
      if (piece.last) return this.#leaveMessage();
    }
  }

  #enterBand(piece: PacketPiece): Uint8Array {
    const band = piece.bytes[0];
    if (band === undefined) {
      throw new HotpackError('malformed_pkt_line', 'protocol error: no band designator');
    }
    this.#band = band;
    return band === PACK_BAND || band === PROGRESS_BAND ? piece.bytes.subarray(1) : piece.bytes;
  }

  #leaveMessage(): SideBandEvent {
    const payload = joined(this.#message);
    this.#message = [];
    if (this.#band === ERROR_BAND) {
      return { kind: 'error', message: textFromBytes(payload.subarray(1)).trimEnd() };
    }
    const message = parseErrorPacket(payload);
    if (message !== undefined) return { kind: 'error', message };
    throw new HotpackError('malformed_pkt_line', `protocol error: bad band #${this.#band}`, {
      detail: { band: this.#band },
    });
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((total, part) => total + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}
