/**
 * The answer to a v2 fetch up to where the pack begins (gitprotocol-v2, "fetch": acknowledgments, shallow-info,
 * wanted-refs, packfile). `planV2Answer` decides which sections there are; `writeV2Answer` writes them.
 * The pack itself follows as side-band-64k packets and a flush.
 */
import type { Oid } from '../../bytes/oid.ts';
import { isDeepening, type FetchRequest } from '../fetch-request.ts';
import { PktLineWriter, type PacketForm } from '../pkt-line/writer.ts';

/** The boundary that the client shall have from now on: `shallow` in, `unshallow` out. */
export interface ShallowInfo {
  readonly shallow: readonly Oid[];
  readonly unshallow: readonly Oid[];
}

export interface WantedRef {
  readonly name: string;
  readonly oid: Oid;
}

/** What the repository makes of the haves. */
export interface Negotiation {
  /** Those of `request.haves` that are here, in that order, repeats kept. */
  readonly common: readonly Oid[];
  /** Every wanted commit can be reached from the common ones: nothing further needs to be asked. */
  readonly ready: boolean;
}

export type V2AnswerPlan =
  /** Nothing was wanted: an empty body. */
  | { readonly kind: 'nothing' }
  /** The client must ask again. */
  | { readonly kind: 'acknowledgments'; readonly common: readonly Oid[] }
  /** Acknowledgments, where there are any, end in `ready`. */
  | { readonly kind: 'pack'; readonly acknowledged: readonly Oid[] | undefined };

/** As git's upload-pack decides, from the request and what is known of its haves. */
export function planV2Answer(request: FetchRequest, negotiation: Negotiation): V2AnswerPlan {
  if (request.wants.length + request.wantRefs.length === 0 && !request.waitForDone) {
    return { kind: 'nothing' };
  }
  if (request.haves.length === 0 || request.done) return { kind: 'pack', acknowledged: undefined };
  if (negotiation.ready && !request.waitForDone) {
    return { kind: 'pack', acknowledged: negotiation.common };
  }
  return { kind: 'acknowledgments', common: negotiation.common };
}

/** What the sections before a pack say. Only asked for with a plan of kind `pack`. */
export interface V2AnswerSections {
  readonly shallowInfo: ShallowInfo;
  /** What `want-ref` names resolved to. */
  readonly wantedRefs: readonly WantedRef[];
}

/** The bytes up to and with the `packfile` header, or the whole answer where no pack follows. */
export function writeV2Answer(plan: V2AnswerPlan, request: FetchRequest, sections: V2AnswerSections): Uint8Array {
  const form: PacketForm = request.sidebandAll ? 'sideband-all' : 'plain';
  const writer = new PktLineWriter(form);
  switch (plan.kind) {
    case 'nothing':
      break;
    case 'acknowledgments':
      writeAcknowledgments(plan.common, writer);
      writer.flush();
      break;
    case 'pack':
      if (plan.acknowledged !== undefined) {
        writeAcknowledgments(plan.acknowledged, writer);
        writer.line('ready').delim();
      }
      // A client that sent its boundary waits for this section even where nothing moved; a repository that is
      // shallow itself has one that nobody asked for.
      if (isDeepening(request) || request.shallows.length > 0 || sections.shallowInfo.shallow.length > 0) {
        writer.line('shallow-info');
        writeShallowLines(sections.shallowInfo, writer);
        writer.delim();
      }
      if (sections.wantedRefs.length > 0) {
        writer.line('wanted-refs');
        for (const { oid, name } of sections.wantedRefs) writer.line(`${oid} ${name}`);
        writer.delim();
      }
      writer.line('packfile');
  }
  return writer.bytes();
}

/** Boundary lines, which git writes without a newline. */
export function writeShallowLines(info: ShallowInfo, writer: PktLineWriter): void {
  for (const oid of info.shallow) writer.text(`shallow ${oid}`);
  for (const oid of info.unshallow) writer.text(`unshallow ${oid}`);
}

function writeAcknowledgments(common: readonly Oid[], writer: PktLineWriter): void {
  writer.line('acknowledgments');
  if (common.length === 0) writer.line('NAK');
  for (const oid of common) writer.line(`ACK ${oid}`);
}
