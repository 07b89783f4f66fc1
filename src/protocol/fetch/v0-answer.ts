/**
 * The answer to a v0/v1 fetch POST up to where the pack begins, line by line what `git upload-pack --stateless-rpc`
 * writes: the boundary lines and a flush where the client deepens, then an acknowledgment protocol in one of three
 * forms (gitprotocol-pack, "Packfile Negotiation"; gitprotocol-capabilities, "multi_ack", "no-done").
 */
import type { Oid } from '../../bytes/oid.ts';
import { isDeepening, type FetchRequest } from '../fetch-request.ts';
import { PktLineWriter } from '../pkt-line/writer.ts';
import { writeShallowLines, type ShallowInfo } from './v2-answer.ts';

/** What the repository makes of the haves, asked in their order. */
export interface V0Negotiation {
  readonly isCommon: (have: Oid) => boolean;
  /**
   * From how many leading haves on the server can give up asking (every wanted commit can be reached from the common
   * ones among them). `undefined`: not with all of them. More than the least number is never wrong, only slower.
   */
  readonly readyAfterHaves: number | undefined;
  /** Parents of a common commit. Git's single-ack form counts a have that is a parent of an earlier one as known. */
  readonly parentsOf?: (have: Oid) => readonly Oid[];
}

export interface V0Answer {
  readonly bytes: Uint8Array;
  /** Whether a pack follows, framed as `request.sideBand` says; else the answer ends here. */
  readonly packFollows: boolean;
}

/** `shallowInfo` is written only where the request deepens. */
export function writeV0Answer(request: FetchRequest, negotiation: V0Negotiation, shallowInfo: ShallowInfo): V0Answer {
  const writer = new PktLineWriter();
  if (isDeepening(request)) {
    writeShallowLines(shallowInfo, writer);
    writer.flush();
  }
  if (request.haveEnd === 'eof') return { bytes: writer.bytes(), packFollows: false };
  const packFollows = writeAcknowledgments(request, negotiation, writer);
  return { bytes: writer.bytes(), packFollows };
}

function writeAcknowledgments(request: FetchRequest, negotiation: V0Negotiation, writer: PktLineWriter): boolean {
  const { ackMode, haves } = request;
  const readyAfter = negotiation.readyAfterHaves ?? Number.POSITIVE_INFINITY;
  const known = new Set<Oid>();
  let newlyKnown = 0;
  let lastCommon: Oid | undefined;
  let missing = false;
  let sentReady = false;
  for (const [index, have] of haves.entries()) {
    const ready = lastCommon !== undefined && index + 1 >= readyAfter;
    if (!negotiation.isCommon(have)) {
      missing = true;
      if (!ready || ackMode === 'single') continue;
      // Not here, but enough is: the client is told to stop digging below it.
      writer.line(ackMode === 'multi_ack_detailed' ? `ACK ${have} ready` : `ACK ${have} continue`);
      if (ackMode === 'multi_ack_detailed') sentReady = true;
      continue;
    }
    lastCommon = have;
    if (!known.has(have)) newlyKnown++;
    known.add(have);
    for (const parent of negotiation.parentsOf?.(have) ?? []) known.add(parent);
    if (ackMode === 'multi_ack_detailed') writer.line(`ACK ${have} common`);
    else if (ackMode === 'multi_ack') writer.line(`ACK ${have} continue`);
    else if (newlyKnown === 1) writer.line(`ACK ${have}`);
  }
  if (request.done) {
    if (lastCommon === undefined) writer.line('NAK');
    else if (ackMode !== 'single') writer.line(`ACK ${lastCommon}`);
    return true;
  }
  const readyNow = haves.length >= readyAfter;
  if (ackMode === 'multi_ack_detailed' && lastCommon !== undefined && !missing && readyNow) {
    writer.line(`ACK ${lastCommon} ready`);
    sentReady = true;
  }
  if (lastCommon === undefined || ackMode !== 'single') writer.line('NAK');
  if (!request.noDone || !sentReady) return false;
  writer.line(`ACK ${lastCommon as Oid}`);
  return true;
}
