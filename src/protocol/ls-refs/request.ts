/** The arguments of v2 `ls-refs` (gitprotocol-v2, "ls-refs"). */
import { HotpackError } from '../../bytes/error.ts';
import { hasFeature } from '../capabilities/capability.ts';
import { PktLineWriter } from '../pkt-line/writer.ts';
import { writeCommandHead, type UpstreamPeer } from '../request-head.ts';

export interface LsRefsRequest {
  readonly peel: boolean;
  readonly symrefs: boolean;
  readonly unborn: boolean;
  /** In order, repeats kept. Empty: every ref. Already emptied where git would give up on them. */
  readonly prefixes: readonly string[];
}

/** From so many prefixes on, git no longer looks at any of them. */
const TOO_MANY_PREFIXES = 65536;
const REF_PREFIX = 'ref-prefix ';

/** `lines`: the arguments behind the delimiter. Throws `malformed_request` with git's words. */
export function parseLsRefsArguments(lines: Iterable<string>): LsRefsRequest {
  let peel = false;
  let symrefs = false;
  let unborn = false;
  const prefixes: string[] = [];
  for (const line of lines) {
    if (line === 'peel') peel = true;
    else if (line === 'symrefs') symrefs = true;
    else if (line === 'unborn') unborn = true;
    else if (line.startsWith(REF_PREFIX)) {
      if (prefixes.length < TOO_MANY_PREFIXES) prefixes.push(line.slice(REF_PREFIX.length));
    } else {
      throw new HotpackError('malformed_request', `unexpected line: '${line}'`);
    }
  }
  if (prefixes.length >= TOO_MANY_PREFIXES) prefixes.length = 0;
  return { peel, symrefs, unborn, prefixes };
}

/** The whole request as git's client would write it to a server with `peer.capabilities`. */
export function writeLsRefs(request: LsRefsRequest, peer: UpstreamPeer): Uint8Array {
  const writer = new PktLineWriter();
  writeCommandHead(writer, 'ls-refs', peer);
  if (request.peel) writer.line('peel');
  if (request.symrefs) writer.line('symrefs');
  if (request.unborn && hasFeature(peer.capabilities, 'ls-refs', 'unborn')) writer.line('unborn');
  for (const prefix of request.prefixes) writer.line(REF_PREFIX + prefix);
  return writer.flush().bytes();
}
