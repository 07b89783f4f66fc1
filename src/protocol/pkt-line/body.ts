/** A whole message as packets. */
import { HotpackError } from '../../bytes/error.ts';
import { PktLineDecoder } from './decoder.ts';
import type { Packet } from './packet.ts';

/**
 * The packets of `body`, payloads as views of it. Throws `malformed_pkt_line` at the packet that is none, or that
 * the body's end cuts.
 */
export function* packetsOf(body: Uint8Array): Generator<Packet, void, void> {
  const decoder = new PktLineDecoder();
  decoder.push(body);
  for (;;) {
    const packet = decoder.next();
    if (packet.kind !== 'need-more') {
      yield packet;
    } else if (decoder.atBoundary) {
      return;
    } else {
      throw new HotpackError('malformed_pkt_line', 'the remote end hung up unexpectedly', {
        detail: { bodyBytes: body.length },
      });
    }
  }
}
