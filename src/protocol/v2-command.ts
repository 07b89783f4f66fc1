/**
 * One protocol v2 request (gitprotocol-v2, "Command Request"): capability lines and `command=` in any order up
 * to the delimiter, then the command's arguments up to the flush.
 */
import { HotpackError } from '../bytes/error.ts';
import { parseV2FetchArguments } from './fetch/v2-arguments.ts';
import type { FetchRequest } from './fetch-request.ts';
import { parseLsRefsArguments, type LsRefsRequest } from './ls-refs/request.ts';
import { packetsOf } from './pkt-line/body.ts';
import type { Packet } from './pkt-line/packet.ts';
import { lineFromBytes } from './pkt-line/text.ts';

/** What the lines before the delimiter said besides the command. */
export interface V2RequestContext {
  readonly agent: string | undefined;
  readonly serverOptions: readonly string[];
  /** Every capability line as sent, in order, agent and server options among them. */
  readonly capabilities: readonly string[];
}

export type V2Command =
  | { readonly kind: 'ls-refs'; readonly request: LsRefsRequest; readonly context: V2RequestContext }
  | { readonly kind: 'fetch'; readonly request: FetchRequest; readonly context: V2RequestContext }
  /** Well-formed, but for upstream to answer (`object-info`, `bundle-uri`, …). */
  | { readonly kind: 'other'; readonly command: string; readonly context: V2RequestContext }
  /** A lone flush, or no bytes at all: git's probe before a large body. Answered with nothing. */
  | { readonly kind: 'empty' };

const COMMAND = 'command=';
const HUNG_UP = 'the remote end hung up unexpectedly';

/**
 * The command in `body` (inflated). Throws `malformed_pkt_line` or `malformed_request` with the words git's server
 * would die with. What follows the request's flush is not looked at: git answers one request a POST.
 */
export function parseV2Command(body: Uint8Array): V2Command {
  const packets = packetsOf(body);
  const { command, context, end } = parseHead(packets);
  if (command === undefined) {
    if (context.capabilities.length === 0 && end !== 'delim') return { kind: 'empty' };
    throw malformed('no command requested');
  }
  switch (command) {
    case 'ls-refs':
      return { kind: 'ls-refs', request: parseLsRefsArguments(linesOf(packets, command, end)), context };
    case 'fetch':
      return {
        kind: 'fetch',
        request: parseV2FetchArguments(linesOf(packets, command, end), context),
        context,
      };
    default:
      return { kind: 'other', command, context };
  }
}

interface Head {
  readonly command: string | undefined;
  readonly context: V2RequestContext;
  readonly end: 'flush' | 'delim' | 'eof';
}

function parseHead(packets: Iterator<Packet>): Head {
  let command: string | undefined;
  let agent: string | undefined;
  let objectFormat = 'sha1';
  const serverOptions: string[] = [];
  const capabilities: string[] = [];
  for (;;) {
    const next = packets.next();
    if (next.done === true) {
      if (command !== undefined || capabilities.length > 0) throw malformed(HUNG_UP);
      return { command, context: { agent, serverOptions, capabilities }, end: 'eof' };
    }
    const packet = next.value;
    if (packet.kind === 'response-end') throw malformed('unexpected response end packet');
    if (packet.kind !== 'data') {
      if (command !== undefined && objectFormat !== 'sha1') {
        throw malformed(`mismatched object format: server sha1; client ${objectFormat}`);
      }
      return { command, context: { agent, serverOptions, capabilities }, end: packet.kind };
    }
    const line = lineFromBytes(packet.payload);
    if (line.startsWith(COMMAND)) {
      const name = line.slice(COMMAND.length);
      if (command !== undefined) {
        throw malformed(`command '${name}' requested after already requesting command '${command}'`);
      }
      if (name === '' || name.includes('=')) throw malformed(`invalid command '${name}'`);
      command = name;
      continue;
    }
    capabilities.push(line);
    if (line.startsWith('agent=')) agent = line.slice(6);
    else if (line.startsWith('server-option=')) serverOptions.push(line.slice(14));
    else if (line.startsWith('object-format=')) objectFormat = line.slice(14);
  }
}

/** The argument lines up to the flush, which must come. */
function* linesOf(packets: Iterator<Packet>, command: string, headEnd: Head['end']): Generator<string, void, void> {
  if (headEnd === 'flush') return;
  for (;;) {
    const next = packets.next();
    if (next.done === true) throw malformed(HUNG_UP);
    if (next.value.kind === 'flush') return;
    if (next.value.kind !== 'data') throw malformed(`expected flush after ${command} arguments`);
    yield lineFromBytes(next.value.payload);
  }
}

function malformed(message: string): HotpackError {
  return new HotpackError('malformed_request', message);
}
