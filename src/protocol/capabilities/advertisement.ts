/**
 * The answer to GET info/refs?service=git-upload-pack (gitprotocol-http, "Discovering References"), every version.
 * v2 holds capabilities only; v0 and v1 hold HEAD, every ref, and the capabilities behind the first of them.
 */
import { isOid, ZERO_OID, type Oid } from '../../bytes/oid.ts';
import { HotpackError } from '../../bytes/error.ts';
import { parseErrorPacket } from '../error-packet.ts';
import { packetsOf } from '../pkt-line/body.ts';
import { lineFromBytes } from '../pkt-line/text.ts';
import { PktLineWriter } from '../pkt-line/writer.ts';
import type { Head, Ref, RefsSnapshot } from '../refs-snapshot.ts';
import { parseCapability, writeCapability, type Capabilities } from './capability.ts';

export interface V2Advertisement {
  readonly version: 2;
  readonly capabilities: Capabilities;
}

export interface V0Advertisement {
  readonly version: 0 | 1;
  readonly capabilities: Capabilities;
  readonly refs: RefsSnapshot;
  /** The boundary of a repository that is shallow itself. */
  readonly shallows: readonly Oid[];
}

export type Advertisement = V2Advertisement | V0Advertisement;
export type AdvertisementAnswer =
  | { readonly kind: 'advertisement'; readonly advertisement: Advertisement }
  /** An ERR packet: the server's words. */
  | { readonly kind: 'error'; readonly message: string };

const SERVICE = '# service=git-upload-pack';
const NO_REFS_NAME = 'capabilities^{}';
const PEELED = '^{}';

/** `service`: with the `# service=` line and flush that smart HTTP puts in front; git leaves them out in v2. */
export function writeAdvertisement(advertisement: Advertisement, options: { readonly service: boolean }): Uint8Array {
  const writer = new PktLineWriter();
  if (options.service) writer.line(SERVICE).flush();
  if (advertisement.version === 2) {
    writer.line('version 2');
    for (const capability of advertisement.capabilities) writer.line(writeCapability(capability));
  } else {
    writeV0(advertisement, writer);
  }
  return writer.flush().bytes();
}

/** Throws `malformed_pkt_line` or `malformed_request` where `body` is no advertisement, or one that was cut. */
export function parseAdvertisement(body: Uint8Array): AdvertisementAnswer {
  const lines: string[] = [];
  let ended = false;
  for (const packet of packetsOf(body)) {
    if (packet.kind === 'data') {
      const message = parseErrorPacket(packet.payload);
      if (message !== undefined) return { kind: 'error', message };
      lines.push(lineFromBytes(packet.payload));
    } else if (packet.kind === 'flush') {
      // The service line has a flush of its own; some servers leave that out.
      if (lines.length === 1 && (lines[0] as string).startsWith('# ')) {
        lines.pop();
        continue;
      }
      ended = true;
      break;
    } else {
      throw malformed(`unexpected ${packet.kind} packet`);
    }
  }
  if (!ended) throw malformed('the remote end hung up unexpectedly');
  if (lines[0]?.startsWith('# ') === true) lines.shift();
  const advertisement: Advertisement =
    lines[0] === 'version 2' ? { version: 2, capabilities: lines.slice(1).map(parseCapability) } : parseV0(lines);
  return { kind: 'advertisement', advertisement };
}

function writeV0(advertisement: V0Advertisement, writer: PktLineWriter): void {
  const { head, refs } = advertisement.refs;
  let capabilities = `\0${advertisement.capabilities.map(writeCapability).join(' ')}`;
  const writeRef = (oid: Oid, name: string): void => {
    writer.line(`${oid} ${name}${capabilities}`);
    capabilities = '';
  };
  if (advertisement.version === 1) writer.line('version 1');
  if (head.kind === 'symref' || head.kind === 'detached') writeRef(head.oid, 'HEAD');
  for (const ref of refs) {
    writeRef(ref.oid, ref.name);
    if (ref.peeled !== undefined) writeRef(ref.peeled, `${ref.name}${PEELED}`);
  }
  // Older gits send a lone flush for an empty repository: no line, no capabilities.
  if (capabilities !== '' && advertisement.capabilities.length > 0) {
    writeRef(ZERO_OID, NO_REFS_NAME);
  }
  for (const oid of advertisement.shallows) writer.line(`shallow ${oid}`);
}

function parseV0(lines: readonly string[]): V0Advertisement {
  const version = lines[0] === 'version 1' ? 1 : 0;
  const refs: Ref[] = [];
  const shallows: Oid[] = [];
  let capabilities: Capabilities | undefined;
  let headOid: Oid | undefined;
  for (const line of version === 1 ? lines.slice(1) : lines) {
    if (line.startsWith('shallow ')) {
      shallows.push(checkedOid(line.slice(8), line));
      continue;
    }
    const nul = line.indexOf('\0');
    if (nul >= 0 && capabilities === undefined) {
      const words = line.slice(nul + 1).split(' ');
      capabilities = words.filter((word) => word !== '').map(parseCapability);
    }
    const text = nul < 0 ? line : line.slice(0, nul);
    const oid = checkedOid(text.slice(0, 40), line);
    const name = text.slice(41);
    if (text[40] !== ' ' || name === '') throw malformed(`unexpected line: '${line}'`);
    if (name === NO_REFS_NAME && oid === ZERO_OID) continue;
    if (name === 'HEAD') headOid = oid;
    else if (name.endsWith(PEELED)) peel(refs, name.slice(0, -PEELED.length), oid);
    else refs.push({ name, oid });
  }
  const known = capabilities ?? [];
  return { version, capabilities: known, refs: withSymrefs(refs, headOid, known), shallows };
}

/** A peeled line belongs to the ref before it (HEAD's own is of no use). */
function peel(refs: Ref[], name: string, oid: Oid): void {
  const last = refs.at(-1);
  if (last?.name === name) refs[refs.length - 1] = { ...last, peeled: oid };
}

function withSymrefs(refs: readonly Ref[], headOid: Oid | undefined, capabilities: Capabilities): RefsSnapshot {
  const targets = new Map<string, string>();
  for (const { name, value } of capabilities) {
    const colon = value?.indexOf(':') ?? -1;
    if (name === 'symref' && value !== undefined && colon > 0) {
      targets.set(value.slice(0, colon), value.slice(colon + 1));
    }
  }
  const target = targets.get('HEAD');
  let head: Head = { kind: 'absent' };
  if (headOid !== undefined && target !== undefined) head = { kind: 'symref', target, oid: headOid };
  else if (headOid !== undefined) head = { kind: 'detached', oid: headOid };
  else if (target !== undefined) head = { kind: 'unborn', target };
  const linked = refs.map((ref) => {
    const symrefTarget = targets.get(ref.name);
    return symrefTarget === undefined ? ref : { ...ref, symrefTarget };
  });
  return { head, refs: targets.size > (target === undefined ? 0 : 1) ? linked : refs };
}

function checkedOid(text: string, line: string): Oid {
  if (isOid(text)) return text;
  throw malformed(`expected to get object ID, not '${line}'`);
}

function malformed(message: string): HotpackError {
  return new HotpackError('malformed_request', message);
}
