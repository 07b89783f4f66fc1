/**
 * What stands in front of a stored answer, as lines of text, so that the object says what it is:
 *
 *     hotpack answer 1
 *     header-bytes 0000000218
 *     pack-bytes 0000000000123456
 *     objects 0000001234
 *     cost-us 0000000000045000
 *     tags <40 hex digits, or ->
 *     shallow <object name>          any number
 *     unshallow <object name>        any number
 *     <an empty line>
 *
 * Behind it come the pack's packets (protocol/side-band/full-packets.ts) and a flush, as they are sent. Numbers have a fixed width: they
 * are written again when the pack is whole, and until then `pack-bytes` is 0, which no pack has.
 */
import { isOid, type Oid } from '../../bytes/oid.ts';
import { writeSideBandEnd } from '../../protocol/side-band/frame.ts';
import { fullPacketsBytes } from '../../protocol/side-band/full-packets.ts';

export interface AnswerHeader {
  readonly headerBytes: number;
  readonly packBytes: number;
  readonly objects: number;
  readonly costUs: number;
  /** With `include-tag` the digest of the tags that it could add when this was made. */
  readonly tags: string | undefined;
  readonly shallow: readonly Oid[];
  readonly unshallow: readonly Oid[];
}

/** What ends the packets. */
export const END: Uint8Array = writeSideBandEnd('side-band-64k');
/** Holds every number; what is behind it may be longer. */
export const HEADER_START_BYTES = 256;
export const MAX_HEADER_BYTES: number = 64 * 1024 * 1024;

const MAGIC = 'hotpack answer 1';
const START =
  /^hotpack answer 1\nheader-bytes (\d{10})\npack-bytes (\d{16})\nobjects (\d{10})\ncost-us (\d{16})\ntags ([0-9a-f]{40}|-)\n/;

export function encodeAnswerHeader(header: Omit<AnswerHeader, 'headerBytes'>): Uint8Array {
  const { packBytes, objects, costUs, tags, shallow, unshallow } = header;
  const write = (headerBytes: number): string =>
    [
      MAGIC,
      `header-bytes ${digits(headerBytes, 10)}`,
      `pack-bytes ${digits(packBytes, 16)}`,
      `objects ${digits(objects, 10)}`,
      `cost-us ${digits(Math.round(costUs), 16)}`,
      `tags ${tags ?? '-'}`,
      ...shallow.map((oid) => `shallow ${oid}`),
      ...unshallow.map((oid) => `unshallow ${oid}`),
      '\n',
    ].join('\n');
  return new TextEncoder().encode(write(write(0).length));
}

/** How long the header is; undefined where `start`, the first 256 bytes or all there are, begins none. */
export function headerBytesOf(start: Uint8Array): number | undefined {
  const found = START.exec(textOf(start));
  return found === null ? undefined : Number(found[1]);
}

/** Undefined where it is no header, or not that of an object of `objectBytes`. */
export function parseAnswerHeader(bytes: Uint8Array, objectBytes: number): AnswerHeader | undefined {
  const text = textOf(bytes);
  const found = START.exec(text);
  if (found === null || !text.endsWith('\n\n')) return undefined;
  const [start, headerBytes, packBytes, objects, costUs] = [found[0], ...found.slice(1, 5).map(Number)] as [
    string,
    number,
    number,
    number,
    number,
  ];
  if (headerBytes !== bytes.length || packBytes === 0) return undefined;
  if (headerBytes + fullPacketsBytes(packBytes) + END.length !== objectBytes) return undefined;
  const shallow: Oid[] = [];
  const unshallow: Oid[] = [];
  for (const line of text.slice(start.length, -1).split('\n').slice(0, -1)) {
    const space = line.indexOf(' ');
    const oid = line.slice(space + 1);
    const list = line.startsWith('shallow ') ? shallow : line.startsWith('unshallow ') ? unshallow : undefined;
    if (list === undefined || !isOid(oid)) return undefined;
    list.push(oid);
  }
  const tags = found[5] === '-' ? undefined : found[5];
  return { headerBytes, packBytes, objects, costUs, tags, shallow, unshallow };
}

function digits(value: number, width: number): string {
  return String(value).padStart(width, '0');
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder('latin1').decode(bytes);
}
