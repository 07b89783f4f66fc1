/**
 * The tests' own reading and writing of pkt-lines (gitprotocol-common), kept apart from the product's so that
 * neither hides a mistake of the other. Works on whole buffers.
 */
export type Packet =
  | { readonly kind: 'data'; readonly payload: Buffer }
  | { readonly kind: 'flush' | 'delimiter' | 'response-end' };

export const FLUSH = '0000';
export const DELIMITER = '0001';

/** One packet that holds `payload` as it is; a caller that wants a line feed writes it. */
export function packet(payload: string | Uint8Array): Buffer {
  const bytes = Buffer.from(payload as string);
  return Buffer.concat([Buffer.from((bytes.length + 4).toString(16).padStart(4, '0')), bytes]);
}

/** A body of lines: `FLUSH` and `DELIMITER` stand for themselves, everything else gets its length and a line feed. */
export function body(lines: readonly string[]): Buffer {
  return Buffer.concat(
    lines.map((line) => (line === FLUSH || line === DELIMITER ? Buffer.from(line) : packet(`${line}\n`))),
  );
}

/** Cuts `bytes` into packets from the start; `rest` begins where no packet begins any more (a raw pack, a cut). */
export function cut(bytes: Buffer): { readonly packets: Packet[]; readonly rest: Buffer } {
  const packets: Packet[] = [];
  let at = 0;
  while (at + 4 <= bytes.length) {
    const digits = bytes.toString('latin1', at, at + 4);
    if (!/^[0-9a-f]{4}$/i.test(digits)) break;
    const length = Number.parseInt(digits, 16);
    if (length < 4) {
      if (length === 3) break;
      packets.push({ kind: length === 0 ? 'flush' : length === 1 ? 'delimiter' : 'response-end' });
      at += 4;
      continue;
    }
    if (at + length > bytes.length) break;
    packets.push({ kind: 'data', payload: bytes.subarray(at + 4, at + length) });
    at += length;
  }
  return { packets, rest: bytes.subarray(at) };
}

/** The packets as lines of text without their line feed; flush and delimiter as `0000` and `0001`. */
export function lines(bytes: Buffer): string[] {
  return cut(bytes).packets.map((one) => {
    if (one.kind === 'data') return one.payload.toString('utf8').replace(/\n$/, '');
    return one.kind === 'flush' ? FLUSH : one.kind === 'delimiter' ? DELIMITER : '0002';
  });
}
