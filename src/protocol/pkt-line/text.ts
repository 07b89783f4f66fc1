/**
 * Text as it travels in packets. Git's names are bytes, mostly UTF-8. What is not UTF-8 must survive the way through
 * us (a ref name is matched, stored and sent back), so each such byte 0x80+n is held as the lone surrogate U+DC80+n,
 * which no valid text holds, and becomes that byte again when written.
 */
const ESCAPE = 0xdc00;
const REPLACEMENT = '\ufffd';
const DECODER = new TextDecoder('utf-8', { ignoreBOM: true });
const ENCODER = new TextEncoder();

/** The text of `bytes`; never fails. */
export function textFromBytes(bytes: Uint8Array): string {
  const text = DECODER.decode(bytes);
  return text.includes(REPLACEMENT) ? decodeEscaping(bytes) : text;
}

/** The text of a line, without the one newline that may end it. */
export function lineFromBytes(payload: Uint8Array): string {
  const end = payload.length - 1;
  return textFromBytes(payload[end] === 0x0a ? payload.subarray(0, end) : payload);
}

/** The bytes of `text`: what `textFromBytes` read comes out as it was. */
export function bytesFromText(text: string): Uint8Array {
  return text.isWellFormed() ? ENCODER.encode(text) : encodeEscaped(text);
}

function decodeEscaping(bytes: Uint8Array): string {
  let text = '';
  let runStart = 0;
  for (let at = 0; at < bytes.length;) {
    const length = sequenceLength(bytes, at);
    if (length > 0) {
      at += length;
      continue;
    }
    if (runStart < at) text += DECODER.decode(bytes.subarray(runStart, at));
    text += String.fromCharCode(ESCAPE + (bytes[at] as number));
    runStart = ++at;
  }
  return text + DECODER.decode(bytes.subarray(runStart));
}

/** How many bytes the well-formed UTF-8 sequence at `start` has (RFC 3629, section 4), or 0. */
function sequenceLength(bytes: Uint8Array, start: number): number {
  const lead = bytes[start] as number;
  if (lead < 0x80) return 1;
  if (lead < 0xc2 || lead > 0xf4) return 0;
  const length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  const second = bytes[start + 1] ?? 0;
  const lowest = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
  const highest = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
  if (second < lowest || second > highest) return 0;
  for (let i = 2; i < length; i++) if (((bytes[start + i] ?? 0) & 0xc0) !== 0x80) return 0;
  return length;
}

function encodeEscaped(text: string): Uint8Array {
  const parts: number[] = [];
  for (const character of text) {
    const code = character.codePointAt(0) as number;
    if (code >= ESCAPE + 0x80 && code <= ESCAPE + 0xff) parts.push(code - ESCAPE);
    else for (const byte of ENCODER.encode(character)) parts.push(byte);
  }
  return Uint8Array.from(parts);
}
