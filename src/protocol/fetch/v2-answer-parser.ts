/**
 * Reads a v2 fetch answer as it comes (gitprotocol-v2, "fetch"), split anywhere. Sections are given whole when their
 * end is here; from the `packfile` header on, pack bytes and progress are views of the pushed chunks. Sections may
 * come in any order (git itself sends wanted-refs before shallow-info, against its documentation).
 * Memory: one chunk, and the lines of one section (at most `maxSectionLines`).
 */
import { HotpackError } from '../../bytes/error.ts';
import { isOid, type Oid } from '../../bytes/oid.ts';
import { parseErrorPacket } from '../error-packet.ts';
import { PktLineDecoder } from '../pkt-line/decoder.ts';
import type { NeedMore } from '../pkt-line/packet.ts';
import { lineFromBytes, textFromBytes } from '../pkt-line/text.ts';
import { SideBandDemultiplexer } from '../side-band/demultiplexer.ts';
import type { WantedRef } from './v2-answer.ts';

export type V2AnswerEvent =
  /** `ready`: a pack follows in this answer. */
  | { readonly kind: 'acknowledgments'; readonly common: readonly Oid[]; readonly ready: boolean }
  | {
      readonly kind: 'shallow-info';
      readonly shallow: readonly Oid[];
      readonly unshallow: readonly Oid[];
    }
  | { readonly kind: 'wanted-refs'; readonly refs: readonly WantedRef[] }
  /** `packHash`: the checksum in the name of the pack at `uri`. */
  | {
      readonly kind: 'packfile-uris';
      readonly uris: readonly { readonly packHash: string; readonly uri: string }[];
    }
  /** A section hotpack does not know. */
  | { readonly kind: 'section'; readonly name: string; readonly lines: readonly string[] }
  /** The pack begins: `pack` and `progress` events follow until `end`. */
  | { readonly kind: 'packfile' }
  | { readonly kind: 'pack'; readonly bytes: Uint8Array }
  | { readonly kind: 'progress'; readonly bytes: Uint8Array }
  /** An ERR packet or band 3: upstream's words. Nothing follows. */
  | { readonly kind: 'error'; readonly message: string }
  /** The flush that ends the answer. Without it, the answer was cut. */
  | { readonly kind: 'end' }
  | NeedMore;

export interface V2AnswerParserOptions {
  /** Whether the request asked for it: then lines before the pack are framed too. */
  readonly sidebandAll?: boolean;
  /** Throws `limit_exceeded` beyond. Default 4,194,304: a line for each commit of a large boundary. */
  readonly maxSectionLines?: number;
}

/** `closing`: the last flush was read, its `end` not yet given. */
type State = 'sections' | 'pack' | 'closing' | 'ended';

export class V2AnswerParser {
  readonly #decoder = new PktLineDecoder();
  readonly #demultiplexer = new SideBandDemultiplexer(this.#decoder);
  readonly #sidebandAll: boolean;
  readonly #maxSectionLines: number;
  #state: State = 'sections';
  #section: string | undefined;
  #lines: string[] = [];
  #packets = 0;

  constructor(options: V2AnswerParserOptions = {}) {
    this.#sidebandAll = options.sidebandAll ?? false;
    this.#maxSectionLines = options.maxSectionLines ?? 1 << 22;
  }

  /** Adds bytes, which must not change until `next` needs more. */
  push(chunk: Uint8Array): void {
    if (this.#state === 'sections' || this.#state === 'pack') this.#decoder.push(chunk);
  }

  /**
   * What the body's end means, to be asked when no more bytes come: `complete` behind the last flush (or an error),
   * `empty` for no answer at all, `truncated` for anything between.
   */
  finish(): 'complete' | 'truncated' | 'empty' {
    if (this.#state === 'ended' || this.#state === 'closing') return 'complete';
    return this.#packets === 0 && this.#decoder.atBoundary ? 'empty' : 'truncated';
  }

  /** The next event. Throws `malformed_pkt_line` or `malformed_request`. After `end` or `error`: `need-more`. */
  next(): V2AnswerEvent {
    for (;;) {
      const event = this.#state === 'pack' ? this.#nextOfPack() : this.#nextOfSections();
      if (event !== undefined) return event;
    }
  }

  #nextOfPack(): V2AnswerEvent {
    const event = this.#demultiplexer.next();
    switch (event.kind) {
      case 'pack':
      case 'progress':
      case 'need-more':
        return event;
      case 'error':
        return this.#fail(event.message);
      case 'flush':
        return this.#end();
      case 'delim':
      case 'response-end':
        throw malformed(`unexpected ${event.kind} packet in a pack`);
    }
  }

  #nextOfSections(): V2AnswerEvent | undefined {
    if (this.#state === 'ended') return { kind: 'need-more' };
    if (this.#state === 'closing') return this.#end();
    const packet = this.#decoder.next();
    if (packet.kind === 'need-more') return packet;
    this.#packets++;
    switch (packet.kind) {
      case 'delim':
        return this.#closeSection();
      case 'flush':
        this.#state = 'closing';
        return this.#section === undefined ? undefined : this.#closeSection();
      case 'response-end':
        throw malformed('unexpected response end packet');
      case 'data':
        return this.#readData(packet.payload);
    }
  }

  #readData(payload: Uint8Array): V2AnswerEvent | undefined {
    const message = parseErrorPacket(payload);
    if (message !== undefined) return this.#fail(message);
    let line = payload;
    if (this.#sidebandAll) {
      const band = payload[0];
      line = payload.subarray(1);
      if (band === 2) return line.length > 0 ? { kind: 'progress', bytes: line } : undefined;
      if (band === 3) return this.#fail(textFromBytes(line).trimEnd());
      if (band !== 1) throw malformed(`protocol error: bad band #${band ?? 'none'}`);
      // A keep-alive.
      if (line.length === 0) return undefined;
    }
    return this.#readLine(lineFromBytes(line));
  }

  #readLine(line: string): V2AnswerEvent | undefined {
    if (this.#section === undefined) {
      if (line !== 'packfile') {
        this.#section = line;
        return undefined;
      }
      this.#state = 'pack';
      return { kind: 'packfile' };
    }
    if (this.#lines.length >= this.#maxSectionLines) {
      throw new HotpackError('limit_exceeded', `too many lines in ${this.#section}`, {
        detail: { maxSectionLines: this.#maxSectionLines },
      });
    }
    this.#lines.push(line);
    return undefined;
  }

  #closeSection(): V2AnswerEvent {
    const name = this.#section;
    if (name === undefined) throw malformed('unexpected delim packet');
    const lines = this.#lines;
    this.#section = undefined;
    this.#lines = [];
    switch (name) {
      case 'acknowledgments':
        return parseAcknowledgments(lines);
      case 'shallow-info':
        return parseShallowInfo(lines);
      case 'wanted-refs':
        return { kind: 'wanted-refs', refs: lines.map(parseWantedRef) };
      case 'packfile-uris':
        return { kind: 'packfile-uris', uris: lines.map(parsePackfileUri) };
      default:
        return { kind: 'section', name, lines };
    }
  }

  #fail(message: string): V2AnswerEvent {
    this.#state = 'ended';
    return { kind: 'error', message };
  }

  #end(): V2AnswerEvent {
    this.#state = 'ended';
    return { kind: 'end' };
  }
}

function parseAcknowledgments(lines: readonly string[]): V2AnswerEvent {
  const common: Oid[] = [];
  let ready = false;
  for (const line of lines) {
    if (line === 'ready') ready = true;
    else if (line.startsWith('ACK ')) common.push(checkedOid(line.slice(4), line));
    else if (line !== 'NAK') throw malformed(`unexpected acknowledgment line: '${line}'`);
  }
  return { kind: 'acknowledgments', common, ready };
}

function parseShallowInfo(lines: readonly string[]): V2AnswerEvent {
  const shallow: Oid[] = [];
  const unshallow: Oid[] = [];
  for (const line of lines) {
    if (line.startsWith('shallow ')) shallow.push(checkedOid(line.slice(8), line));
    else if (line.startsWith('unshallow ')) unshallow.push(checkedOid(line.slice(10), line));
    else throw malformed(`unexpected shallow-info line: '${line}'`);
  }
  return { kind: 'shallow-info', shallow, unshallow };
}

function parseWantedRef(line: string): WantedRef {
  const name = line.slice(41);
  if (line[40] !== ' ' || name === '') throw malformed(`unexpected wanted-ref: '${line}'`);
  return { oid: checkedOid(line.slice(0, 40), line), name };
}

function parsePackfileUri(line: string): { readonly packHash: string; readonly uri: string } {
  const packHash = checkedOid(line.slice(0, 40), line);
  if (line[40] !== ' ') throw malformed(`expected '<hash> <uri>', got: '${line}'`);
  return { packHash, uri: line.slice(41) };
}

function checkedOid(text: string, line: string): Oid {
  if (isOid(text)) return text;
  throw malformed(`expected an object name in '${line}'`);
}

function malformed(message: string): HotpackError {
  return new HotpackError('malformed_request', message);
}
