/** How git tells the other side why it stops (gitprotocol-pack, "error-line"; gitprotocol-v2). */
import { MAX_PAYLOAD_BYTES } from './pkt-line/packet.ts';
import { bytesFromText, textFromBytes } from './pkt-line/text.ts';
import { PktLineWriter, type PacketForm } from './pkt-line/writer.ts';

const PREFIX: Uint8Array = bytesFromText('ERR ');

/**
 * `ERR <message>` as git's upload-pack writes it; in `sideband-all` form the message on band 3 instead. Over-long
 * messages are cut.
 */
export function writeErrorPacket(message: string, form: PacketForm = 'plain'): Uint8Array {
  const writer = new PktLineWriter();
  const prefix = form === 'plain' ? PREFIX : Uint8Array.of(3);
  const text = bytesFromText(message).subarray(0, MAX_PAYLOAD_BYTES - prefix.length);
  const payload = new Uint8Array(prefix.length + text.length);
  payload.set(prefix);
  payload.set(text, prefix.length);
  return writer.data(payload).bytes();
}

/** The words of an ERR packet, or `undefined` where `payload` is none. */
export function parseErrorPacket(payload: Uint8Array): string | undefined {
  for (let i = 0; i < PREFIX.length; i++) if (payload[i] !== PREFIX[i]) return undefined;
  return textFromBytes(payload.subarray(PREFIX.length)).replace(/\n$/, '');
}
