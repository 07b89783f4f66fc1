/**
 * A delta's instructions from bytes that come in pieces of any length, for results and bases that are too
 * large for memory. Holds at most 18 bytes between pieces; insertions are split where the pieces are.
 */
import type { DeltaHeader } from './delta.ts';
import { createDeltaHeader, malformedDelta, parseDeltaHeader } from './delta.ts';

export type DeltaInstruction =
  | { readonly kind: 'copy'; readonly offset: number; readonly bytes: number }
  /** `bytes` lies within the piece that was pushed, or is a copy. */
  | { readonly kind: 'insert'; readonly bytes: Uint8Array };

const HEADER_BYTES = 18;

export interface DeltaStream {
  /** The sizes, once enough was pushed. */
  readonly header: DeltaHeader | undefined;
  /** The instructions that `piece` completes. Consume them before the next push. */
  push(piece: Uint8Array): Iterable<DeltaInstruction>;
  /** Throws `malformed_pack` unless the delta is complete: every instruction whole, the result as long as declared. */
  finish(): void;
}

/** `baseBytes`: the base's true size, which the delta's header must name. */
export function createDeltaStream(baseBytes: number): DeltaStream {
  let header: DeltaHeader | undefined;
  let carry: Uint8Array = new Uint8Array(0);
  let insertLeft = 0;
  let made = 0;

  const grow = (bytes: number): void => {
    made += bytes;
    if (made > (header as DeltaHeader).resultSize) {
      throw malformedDelta('its result is longer than declared');
    }
  };

  function* push(piece: Uint8Array): Generator<DeltaInstruction, void> {
    let at = 0;
    let input = piece;
    if (carry.length > 0) {
      input = new Uint8Array(carry.length + piece.length);
      input.set(carry);
      input.set(piece, carry.length);
      carry = new Uint8Array(0);
    }
    if (header === undefined) {
      const parsed = createDeltaHeader();
      const headerBytes = parseDeltaHeader(input, 0, Math.min(input.length, HEADER_BYTES), parsed);
      if (headerBytes < 0) {
        if (input.length >= HEADER_BYTES) throw malformedDelta('a size of 2^53 or more');
        carry = input.slice();
        return;
      }
      if (parsed.baseSize !== baseBytes) throw malformedDelta('it is for a base of another size');
      header = parsed;
      at = headerBytes;
    }
    while (at < input.length) {
      if (insertLeft > 0) {
        const bytes = Math.min(insertLeft, input.length - at);
        insertLeft -= bytes;
        grow(bytes);
        yield { kind: 'insert', bytes: input.subarray(at, at + bytes) };
        at += bytes;
        continue;
      }
      const op = input[at] as number;
      if (op === 0) throw malformedDelta('instruction 0 is reserved');
      if (op < 0x80) {
        insertLeft = op;
        at++;
        continue;
      }
      let next = at + 1;
      const field = (flag: number): number => (op & flag ? (input[next++] ?? 0) : 0);
      const offset = field(0x01) + field(0x02) * 0x100 + field(0x04) * 0x10000 + field(0x08) * 0x1000000;
      const size = field(0x10) + field(0x20) * 0x100 + field(0x40) * 0x10000;
      if (next > input.length) {
        carry = input.slice(at);
        return;
      }
      at = next;
      const bytes = size === 0 ? 0x10000 : size;
      if (offset + bytes > baseBytes) throw malformedDelta('it copies from beyond its base');
      grow(bytes);
      yield { kind: 'copy', offset, bytes };
    }
  }

  return {
    get header(): DeltaHeader | undefined {
      return header;
    },
    push,
    finish(): void {
      if (header === undefined) throw malformedDelta('it ends within its sizes');
      if (carry.length > 0 || insertLeft > 0) throw malformedDelta('it ends within an instruction');
      if (made !== header.resultSize) throw malformedDelta('its result is shorter than declared');
    },
  };
}
