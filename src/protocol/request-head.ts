/** What stands before the arguments of a v2 request that hotpack sends. */
import { hasCapability, objectFormatOf, type Capabilities } from './capabilities/capability.ts';
import type { PktLineWriter } from './pkt-line/writer.ts';

/** The server that a request goes to. Git dies of a capability line that it did not advertise. */
export interface UpstreamPeer {
  /** Its v2 advertisement. */
  readonly capabilities: Capabilities;
  /** Who we say we are: `hotpack/1.0`. */
  readonly agent: string;
  readonly serverOptions?: readonly string[];
}

/** The command, the capability lines and the delimiter. */
export function writeCommandHead(writer: PktLineWriter, command: string, peer: UpstreamPeer): void {
  writer.line(`command=${command}`);
  if (hasCapability(peer.capabilities, 'agent')) writer.line(`agent=${peer.agent}`);
  if (hasCapability(peer.capabilities, 'server-option')) {
    for (const option of peer.serverOptions ?? []) writer.line(`server-option=${option}`);
  }
  if (hasCapability(peer.capabilities, 'object-format')) {
    writer.line(`object-format=${objectFormatOf(peer.capabilities)}`);
  }
  writer.delim();
}
