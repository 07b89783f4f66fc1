/**
 * What an object refers to: a commit its tree and parents, a tree its entries (but not gitlinks, which name commits
 * of other repositories), a tag its object. As strict as git is when it walks: what `git index-pack` accepts and
 * `git rev-list --objects` can follow passes, the rest is `malformed_pack`.
 */
import { HotpackError } from '../../../bytes/error.ts';
import { OID_BYTES } from '../../../bytes/oid.ts';
import type { ObjectType } from '../../codec/object-type.ts';
import { OBJ_BLOB, OBJ_COMMIT, OBJ_TREE } from '../../codec/object-type.ts';

/** Takes one link: 20 bytes at `at` of `table`, valid during the call. */
export type LinkSink = (table: Uint8Array, at: number) => void;

interface ContentRange {
  readonly start: number;
  readonly end: number;
}

const HEX_DIGITS = OID_BYTES * 2;
const TREE_KEY = ascii('tree ');
const PARENT_KEY = ascii('parent ');
const OBJECT_KEY = ascii('object ');
const LF = 10;
const SPACE = 32;
const MODE_TYPE = 0o170000;
const MODE_GITLINK = 0o160000;

const name = new Uint8Array(OID_BYTES);

/** Hands every link of the object at `[start, end)` of `content` to `sink`. */
export function forEachLink(type: ObjectType, content: Uint8Array, range: ContentRange, sink: LinkSink): void {
  if (type === OBJ_BLOB) return;
  if (type === OBJ_TREE) {
    treeLinks(content, range.start, range.end, sink);
    return;
  }
  const first = type === OBJ_COMMIT ? TREE_KEY : OBJECT_KEY;
  let at = linkLine(content, range, first, sink);
  if (at < 0) throw malformed(type === OBJ_COMMIT ? 'commit without a tree' : 'tag without an object');
  if (type !== OBJ_COMMIT) return;
  for (;;) {
    const next = linkLine(content, { start: at, end: range.end }, PARENT_KEY, sink);
    if (next < 0) break;
    at = next;
  }
  if (startsWith(content, at, range.end, PARENT_KEY)) throw malformed('commit with a bad parent line');
}

function treeLinks(content: Uint8Array, start: number, end: number, sink: LinkSink): void {
  let at = start;
  while (at < end) {
    let mode = 0;
    let byte = content[at] as number;
    const modeAt = at;
    while (at < end && (byte = content[at] as number) !== SPACE) {
      if (byte < 0x30 || byte > 0x37) throw malformed('tree entry with a bad mode');
      mode = ((mode << 3) | (byte - 0x30)) & 0x3ffff;
      at++;
    }
    if (at === modeAt) throw malformed('tree entry without a mode');
    const nameAt = ++at;
    while (at < end && content[at] !== 0) at++;
    if (at === nameAt) throw malformed('tree entry without a name');
    at++;
    if (at + OID_BYTES > end) throw malformed('tree that is cut');
    if ((mode & MODE_TYPE) !== MODE_GITLINK) sink(content, at);
    at += OID_BYTES;
  }
}

/** Takes a line at the range's start: `<key><40 hex>\n`; returns where the next one begins, or -1 where there is no such line. */
function linkLine(content: Uint8Array, range: ContentRange, key: Uint8Array, sink: LinkSink): number {
  const { start: at, end } = range;
  const hexAt = at + key.length;
  const lineEnd = hexAt + HEX_DIGITS;
  if (lineEnd >= end || content[lineEnd] !== LF || !startsWith(content, at, end, key)) return -1;
  for (let i = 0; i < OID_BYTES; i++) {
    const high = hexValue(content[hexAt + 2 * i] as number);
    const low = hexValue(content[hexAt + 2 * i + 1] as number);
    if (high < 0 || low < 0) return -1;
    name[i] = (high << 4) | low;
  }
  sink(name, 0);
  return lineEnd + 1;
}

function startsWith(content: Uint8Array, at: number, end: number, key: Uint8Array): boolean {
  if (at + key.length > end) return false;
  for (let i = 0; i < key.length; i++) {
    if (content[at + i] !== key[i]) return false;
  }
  return true;
}

function hexValue(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

function malformed(what: string): HotpackError {
  return new HotpackError('malformed_pack', `malformed object: ${what}`);
}
