/**
 * The head of a commit object: its tree, its parents and the committer's time. Nothing becomes a string;
 * names are decoded into one table that is used again for the next commit.
 */
import { OID_BYTES } from '../../../bytes/oid.ts';
import { decodeHexName } from './hex-name.ts';

const TREE_LINE = ascii('tree ');
const PARENT_LINE = ascii('parent ');
const AUTHOR_LINE = ascii('author');
const COMMITTER_LINE = ascii('committer');
const HEX_DIGITS = 2 * OID_BYTES;
const NEWLINE = 0x0a;
const SPACE = 0x20;
const GREATER = 0x3e;

export class CommitHead {
  /** 20 bytes a name: the tree's at 0, then the parents' in order. */
  names: Uint8Array = new Uint8Array(OID_BYTES * 8);
  parentCount = 0;
  /** Seconds; 0 where the commit has no readable time, as git has it. */
  committerSeconds = 0;
}

/** Fills `head` from a commit's content. Returns what is wrong with the content, or `undefined`. */
export function parseCommitHead(content: Uint8Array, head: CommitHead): string | undefined {
  head.parentCount = 0;
  head.committerSeconds = 0;
  let at = TREE_LINE.length + HEX_DIGITS;
  if (!startsAt(content, 0, TREE_LINE) || content[at] !== NEWLINE) return 'no tree line';
  if (!decodeHexName(content, TREE_LINE.length, head.names, 0)) return 'no object name in its tree line';
  at++;
  while (startsAt(content, at, PARENT_LINE)) {
    const end = at + PARENT_LINE.length + HEX_DIGITS;
    if (content[end] !== NEWLINE) return 'a parent line of the wrong length';
    const offset = (head.parentCount + 1) * OID_BYTES;
    if (offset + OID_BYTES > head.names.length) head.names = doubled(head.names);
    if (!decodeHexName(content, at + PARENT_LINE.length, head.names, offset)) {
      return 'no object name in a parent line';
    }
    head.parentCount++;
    at = end + 1;
  }
  head.committerSeconds = parseCommitterSeconds(content, at);
  return undefined;
}

function parseCommitterSeconds(content: Uint8Array, authorAt: number): number {
  if (!startsAt(content, authorAt, AUTHOR_LINE)) return 0;
  const authorEnd = content.indexOf(NEWLINE, authorAt);
  if (authorEnd < 0 || !startsAt(content, authorEnd + 1, COMMITTER_LINE)) return 0;
  const lineEnd = content.indexOf(NEWLINE, authorEnd + 1);
  const end = lineEnd < 0 ? content.length : lineEnd;
  let at = content.indexOf(GREATER, authorEnd + 1);
  if (at < 0 || at >= end) return 0;
  do at++;
  while (at < end && content[at] === SPACE);
  let seconds = 0;
  for (; at < end; at++) {
    const digit = (content[at] as number) - 0x30;
    if (digit < 0 || digit > 9) break;
    seconds = seconds * 10 + digit;
  }
  return Math.min(seconds, Number.MAX_SAFE_INTEGER);
}

function startsAt(content: Uint8Array, at: number, prefix: Uint8Array): boolean {
  for (let i = 0; i < prefix.length; i++) if (content[at + i] !== prefix[i]) return false;
  return true;
}

function doubled(table: Uint8Array): Uint8Array {
  const larger = new Uint8Array(table.length * 2);
  larger.set(table);
  return larger;
}

function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}
