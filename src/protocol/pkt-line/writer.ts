/**
 * Collects packets into one buffer. In `sideband-all` form every data packet carries band 1 in front of its payload,
 * as git writes the sections of a v2 answer after the client asked for it.
 */
import { HotpackError } from '../../bytes/error.ts';
import { HEADER_BYTES, MAX_PAYLOAD_BYTES } from './packet.ts';
import { bytesFromText } from './text.ts';

export type PacketForm = 'plain' | 'sideband-all';

const HEX_DIGITS: Uint8Array = bytesFromText('0123456789abcdef');

export class PktLineWriter {
  readonly #form: PacketForm;
  #buffer: Uint8Array = new Uint8Array(512);
  #length = 0;

  constructor(form: PacketForm = 'plain') {
    this.#form = form;
  }

  /** A line of text, with the newline that git ends most of them with. */
  line(text: string): this {
    return this.text(`${text}\n`);
  }

  /** Text as it is. Throws `limit_exceeded` where it does not fit a packet. */
  text(text: string): this {
    return this.data(bytesFromText(text));
  }

  data(payload: Uint8Array): this {
    const bandBytes = this.#form === 'sideband-all' ? 1 : 0;
    const payloadBytes = bandBytes + payload.length;
    if (payloadBytes > MAX_PAYLOAD_BYTES) {
      throw new HotpackError('limit_exceeded', 'a packet holds at most 65516 bytes', {
        detail: { payloadBytes },
      });
    }
    this.#reserve(HEADER_BYTES + payloadBytes);
    writeLength(HEADER_BYTES + payloadBytes, this.#buffer, this.#length);
    this.#length += HEADER_BYTES;
    if (bandBytes === 1) this.#buffer[this.#length++] = 1;
    this.#buffer.set(payload, this.#length);
    this.#length += payload.length;
    return this;
  }

  flush(): this {
    return this.#control(0);
  }

  delim(): this {
    return this.#control(1);
  }

  responseEnd(): this {
    return this.#control(2);
  }

  get byteLength(): number {
    return this.#length;
  }

  /** What was written so far. A copy: writing may go on. */
  bytes(): Uint8Array {
    return this.#buffer.slice(0, this.#length);
  }

  #control(code: number): this {
    this.#reserve(HEADER_BYTES);
    writeLength(code, this.#buffer, this.#length);
    this.#length += HEADER_BYTES;
    return this;
  }

  #reserve(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#buffer.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#buffer.length * 2));
    grown.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = grown;
  }
}

/** Writes a packet's four length digits at `offset` of `target`. */
export function writeLength(packetBytes: number, target: Uint8Array, offset: number): void {
  for (let digit = 0; digit < HEADER_BYTES; digit++) {
    target[offset + digit] = HEX_DIGITS[(packetBytes >> (12 - 4 * digit)) & 15] as number;
  }
}
