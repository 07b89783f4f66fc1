/**
 * The answer to v2 `ls-refs`: a line a ref, `<oid> <name>` (or `unborn <name>` for HEAD) with attributes behind.
 */
import { HotpackError } from '../../bytes/error.ts';
import { isOid } from '../../bytes/oid.ts';
import { parseErrorPacket } from '../error-packet.ts';
import { PktLineDecoder } from '../pkt-line/decoder.ts';
import { lineFromBytes } from '../pkt-line/text.ts';
import { PktLineWriter } from '../pkt-line/writer.ts';
import type { Head, Ref, RefsSnapshot } from '../refs-snapshot.ts';
import type { LsRefsRequest } from './request.ts';
import { selectRefs } from './select-refs.ts';

const SYMREF_TARGET = 'symref-target:';
const PEELED = 'peeled:';

/** What `request` is told of a repository whose full list is `snapshot`. */
export function writeLsRefsAnswer(snapshot: RefsSnapshot, request: LsRefsRequest): Uint8Array {
  const { head, refs } = selectRefs(snapshot, request.prefixes);
  const writer = new PktLineWriter();
  const line = headLine(head, request);
  if (line !== undefined) writer.line(line);
  for (const ref of refs) {
    let text = `${ref.oid} ${ref.name}`;
    if (request.symrefs && ref.symrefTarget !== undefined) {
      text += ` ${SYMREF_TARGET}${ref.symrefTarget}`;
    }
    if (request.peel && ref.peeled !== undefined) text += ` ${PEELED}${ref.peeled}`;
    for (const attribute of ref.attributes ?? []) text += ` ${attribute}`;
    writer.line(text);
  }
  return writer.flush().bytes();
}

function headLine(head: Head, request: LsRefsRequest): string | undefined {
  switch (head.kind) {
    case 'symref':
      return request.symrefs ? `${head.oid} HEAD ${SYMREF_TARGET}${head.target}` : `${head.oid} HEAD`;
    case 'detached':
      return `${head.oid} HEAD`;
    case 'unborn':
      // Git names an unborn HEAD only together with what it stands for.
      return request.unborn && request.symrefs ? `unborn HEAD ${SYMREF_TARGET}${head.target}` : undefined;
    case 'absent':
      return undefined;
  }
}

export type LsRefsAnswer =
  | { readonly kind: 'refs'; readonly refs: RefsSnapshot }
  /** An ERR packet: upstream's words. */
  | { readonly kind: 'error'; readonly message: string }
  /** The bytes ended before the flush. */
  | { readonly kind: 'truncated' };

/** Reads an answer as it comes. Memory: the refs. */
export class LsRefsAnswerParser {
  readonly #decoder = new PktLineDecoder();
  readonly #refs: Ref[] = [];
  #head: Head = { kind: 'absent' };
  #answer: LsRefsAnswer | undefined;

  /** Throws `malformed_pkt_line` or `malformed_request` where the bytes are no such answer. */
  push(chunk: Uint8Array): void {
    if (this.#answer !== undefined) return;
    this.#decoder.push(chunk);
    for (;;) {
      const packet = this.#decoder.next();
      if (packet.kind === 'need-more') return;
      if (packet.kind === 'flush') {
        this.#answer = { kind: 'refs', refs: { head: this.#head, refs: this.#refs } };
        return;
      }
      if (packet.kind !== 'data') throw malformed(`unexpected ${packet.kind} packet`);
      const message = parseErrorPacket(packet.payload);
      if (message !== undefined) {
        this.#answer = { kind: 'error', message };
        return;
      }
      this.#readLine(lineFromBytes(packet.payload));
    }
  }

  /** To be called when no more bytes come. */
  finish(): LsRefsAnswer {
    return this.#answer ?? { kind: 'truncated' };
  }

  #readLine(line: string): void {
    const [oid = '', name = '', ...rest] = line.split(' ');
    const symrefTarget = valueOf(rest, SYMREF_TARGET);
    if (name === 'HEAD' && oid === 'unborn') {
      if (symrefTarget !== undefined) this.#head = { kind: 'unborn', target: symrefTarget };
      return;
    }
    if (!isOid(oid) || name === '') throw malformed(`invalid ls-refs response: ${line}`);
    if (name === 'HEAD') {
      this.#head =
        symrefTarget === undefined ? { kind: 'detached', oid } : { kind: 'symref', target: symrefTarget, oid };
      return;
    }
    const peeled = valueOf(rest, PEELED);
    if (peeled !== undefined && !isOid(peeled)) {
      throw malformed(`invalid ls-refs response: ${line}`);
    }
    const attributes = rest.filter((word) => !word.startsWith(SYMREF_TARGET) && !word.startsWith(PEELED));
    this.#refs.push({
      name,
      oid,
      ...(peeled === undefined ? {} : { peeled }),
      ...(symrefTarget === undefined ? {} : { symrefTarget }),
      ...(attributes.length === 0 ? {} : { attributes }),
    });
  }
}

export function parseLsRefsAnswer(body: Uint8Array): LsRefsAnswer {
  const parser = new LsRefsAnswerParser();
  parser.push(body);
  return parser.finish();
}

function valueOf(words: readonly string[], prefix: string): string | undefined {
  return words.find((word) => word.startsWith(prefix))?.slice(prefix.length);
}

function malformed(message: string): HotpackError {
  return new HotpackError('malformed_request', message);
}
