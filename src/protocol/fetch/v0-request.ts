/**
 * A v0 or v1 fetch over smart HTTP (gitprotocol-pack, "Packfile Negotiation"; gitprotocol-http): wants with the client's
 * capabilities behind them, shallow and deepen lines, a flush, then haves. Each POST stands alone, and git's server
 * stops reading at the first flush behind the haves or at `done`.
 */
import type { AckMode, FetchRequest, SideBand } from '../fetch-request.ts';
import { packetsOf } from '../pkt-line/body.ts';
import type { Packet } from '../pkt-line/packet.ts';
import { lineFromBytes } from '../pkt-line/text.ts';
import { FetchArguments, malformed, parseOid } from './arguments.ts';

export type V0Fetch =
  | { readonly kind: 'fetch'; readonly request: FetchRequest }
  /** Nothing is wanted: a lone flush (git's probe before a large body), or no bytes at all. Answered with nothing. */
  | { readonly kind: 'empty' };

const HUNG_UP = 'the remote end hung up unexpectedly';

/** Throws `malformed_pkt_line` or `malformed_request` with the words git's upload-pack would die with. */
export function parseV0Fetch(body: Uint8Array, version: 0 | 1): V0Fetch {
  if (body.length === 0) return { kind: 'empty' };
  const packets = packetsOf(body);
  const collected = new FetchArguments();
  const features = readNeeds(packets, collected);
  const wants = collected.wants;
  if (wants.length === 0) return { kind: 'empty' };
  collected.deepenRelative = features.has('deepen-relative');
  const deepen = collected.deepen;
  const haveEnd = readHaves(packets, collected);
  return {
    kind: 'fetch',
    request: {
      version,
      wants,
      wantRefs: [],
      haves: collected.haves,
      shallows: collected.shallows,
      deepen,
      filter: collected.filter,
      filterText: collected.filterText,
      done: haveEnd === 'done',
      haveEnd,
      waitForDone: false,
      thinPack: features.has('thin-pack'),
      ofsDelta: features.has('ofs-delta'),
      includeTag: features.has('include-tag'),
      noProgress: features.has('no-progress'),
      sideBand: sideBandOf(features),
      sidebandAll: false,
      ackMode: ackModeOf(features),
      noDone: features.has('no-done'),
      agent: valueOf(features, 'agent='),
      serverOptions: [],
      packfileUris: [],
    },
  };
}

/** Reads up to the flush behind the wants. Gives the capabilities that the client chose. */
function readNeeds(packets: Iterator<Packet>, collected: FetchArguments): ReadonlySet<string> {
  const features = new Set<string>();
  for (;;) {
    const line = nextLine(packets);
    if (line.kind === 'eof') throw malformed(HUNG_UP);
    if (line.kind === 'end') return features;
    const { text } = line;
    if (collected.takeShallow(text)) continue;
    if (text.startsWith('filter ') && !features.has('filter')) {
      throw malformed('git upload-pack: filtering capability not negotiated');
    }
    if (collected.takeFilter(text)) continue;
    const oid = text.startsWith('want ') ? parseOid(text.slice(5, 45)) : undefined;
    const rest = text.slice(45);
    if (oid === undefined || !(rest === '' || rest.startsWith(' '))) {
      throw malformed(`git upload-pack: protocol error, expected to get object ID, not '${text}'`);
    }
    collected.want(oid);
    if (rest !== '') for (const feature of rest.split(' ')) features.add(feature);
  }
}

/** Reads haves up to where git stops. The body may end right away, but not in the middle of them. */
function readHaves(packets: Iterator<Packet>, collected: FetchArguments): FetchRequest['haveEnd'] {
  for (;;) {
    const line = nextLine(packets);
    if (line.kind === 'eof') {
      if (collected.haves.length > 0) throw malformed(HUNG_UP);
      return 'eof';
    }
    if (line.kind === 'end') return 'flush';
    if (line.text === 'done') return 'done';
    if (!collected.takeHave(line.text)) {
      throw malformed(`git upload-pack: expected SHA1 list, got '${line.text}'`);
    }
  }
}

type Line = { readonly kind: 'text'; readonly text: string } | { readonly kind: 'end' } | { readonly kind: 'eof' };

function nextLine(packets: Iterator<Packet>): Line {
  const next = packets.next();
  if (next.done === true) return { kind: 'eof' };
  if (next.value.kind !== 'data') return { kind: 'end' };
  return { kind: 'text', text: lineFromBytes(next.value.payload) };
}

function sideBandOf(features: ReadonlySet<string>): SideBand {
  if (features.has('side-band-64k')) return 'side-band-64k';
  return features.has('side-band') ? 'side-band' : 'none';
}

function ackModeOf(features: ReadonlySet<string>): AckMode {
  if (features.has('multi_ack_detailed')) return 'multi_ack_detailed';
  return features.has('multi_ack') ? 'multi_ack' : 'single';
}

function valueOf(features: ReadonlySet<string>, prefix: string): string | undefined {
  for (const feature of features) {
    if (feature.startsWith(prefix)) return feature.slice(prefix.length);
  }
  return undefined;
}
