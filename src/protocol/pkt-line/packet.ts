/** The pkt-line framing of every git conversation (gitprotocol-common, "pkt-line Format"). */

/** Git writes at most this many bytes a packet, its four length digits included. */
export const MAX_PACKET_BYTES = 65520;
export const HEADER_BYTES = 4;
export const MAX_PAYLOAD_BYTES: number = MAX_PACKET_BYTES - HEADER_BYTES;
/** Git reads a payload of up to 65520 bytes, four more than it writes. So do we. */
export const MAX_READ_PAYLOAD_BYTES: number = MAX_PACKET_BYTES;

/** `flush` 0000 ends a message, `delim` 0001 a section, `response-end` 0002 a stateless response. */
export type Packet =
  | { readonly kind: 'data'; readonly payload: Uint8Array }
  | { readonly kind: 'flush' }
  | { readonly kind: 'delim' }
  | { readonly kind: 'response-end' };

/** No further packet can be had until more bytes are pushed. */
export interface NeedMore {
  readonly kind: 'need-more';
}

export const FLUSH: Packet = { kind: 'flush' };
export const DELIM: Packet = { kind: 'delim' };
export const RESPONSE_END: Packet = { kind: 'response-end' };
export const NEED_MORE: NeedMore = { kind: 'need-more' };
