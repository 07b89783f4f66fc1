/** The text of a `filter` line into what it means (git-rev-list, "--filter"). */
import { isOid } from '../../bytes/oid.ts';
import type { FetchFilter, UnsupportedFilter } from '../fetch-request.ts';
import { bytesFromText, textFromBytes } from '../pkt-line/text.ts';

/** `combine:` in `combine:` needs no escapes, so a line could nest thousands of them. */
const MAX_NESTING = 8;
const UNITS: Readonly<Record<string, number>> = { '': 1, k: 1 << 10, m: 1 << 20, g: 1 << 30 };
const OBJECT_TYPES: readonly string[] = ['commit', 'tree', 'blob', 'tag'];
/** What a part of `combine:` must write as %XX. */
const RESERVED = /[~`!@#$^&*()[\]{}\\;'",<>?\s\p{Cc}]/u;

/** Never fails: what hotpack cannot judge is `unsupported`, for upstream to accept or refuse in its own words. */
export function parseFilter(text: string): FetchFilter | UnsupportedFilter {
  return parseSpec(text, 0) ?? { kind: 'unsupported', text };
}

function parseSpec(text: string, nesting: number): FetchFilter | undefined {
  if (text === 'blob:none') return { kind: 'blob-none' };
  const colon = text.search(/[:=]/);
  const equals = text.indexOf('=');
  if (text.startsWith('blob:limit=')) {
    const bytes = parseMagnitude(text.slice(equals + 1));
    return bytes === undefined ? undefined : { kind: 'blob-limit', bytes };
  }
  if (text.startsWith('tree:')) {
    const depth = parseMagnitude(text.slice(colon + 1));
    return depth === undefined ? undefined : { kind: 'tree', depth };
  }
  if (text.startsWith('object:type=')) {
    const type = text.slice(equals + 1);
    return isTypeName(type) ? { kind: 'object-type', type } : undefined;
  }
  if (text.startsWith('sparse:oid=')) {
    // Anything but a full name is an expression over upstream's refs.
    const oid = text.slice(equals + 1);
    return isOid(oid) ? { kind: 'sparse-oid', oid } : undefined;
  }
  if (text.startsWith('combine:') && nesting < MAX_NESTING) {
    return parseCombine(text.slice('combine:'.length), nesting + 1);
  }
  return undefined;
}

function parseCombine(text: string, nesting: number): FetchFilter | undefined {
  const parts: FetchFilter[] = [];
  for (const part of text.split('+')) {
    const decoded = RESERVED.test(part) ? undefined : decodePercent(part);
    const filter = decoded === undefined ? undefined : parseSpec(decoded, nesting);
    if (filter === undefined) return undefined;
    parts.push(filter);
  }
  return { kind: 'combine', parts };
}

/** Git's sizes: decimal digits and one of k, m, g. Above 2^53 every limit is the same: none. */
function parseMagnitude(text: string): number | undefined {
  const match = /^(\d{1,19})([kmg]?)$/i.exec(text);
  if (match === null || /^0\d/.test(text)) return undefined;
  const value = Number(match[1]) * (UNITS[(match[2] as string).toLowerCase()] as number);
  return Math.min(value, Number.MAX_SAFE_INTEGER);
}

function isTypeName(text: string): text is 'commit' | 'tree' | 'blob' | 'tag' {
  return OBJECT_TYPES.includes(text);
}

function decodePercent(text: string): string | undefined {
  if (!text.includes('%')) return text;
  if (/%(?![0-9a-f]{2})/i.test(text)) return undefined;
  const raw = bytesFromText(text);
  const decoded = new Uint8Array(raw.length);
  let length = 0;
  for (let i = 0; i < raw.length; i++) {
    if (raw[i] === 0x25) {
      decoded[length++] = Number.parseInt(String.fromCharCode(raw[i + 1] as number, raw[i + 2] as number), 16);
      i += 2;
    } else {
      decoded[length++] = raw[i] as number;
    }
  }
  return textFromBytes(decoded.subarray(0, length));
}
