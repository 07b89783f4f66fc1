/**
 * The patterns of a sparse filter's blob: gitignore lines that say what to keep (gitignore, "Pattern format";
 * git-rev-list, "--filter=sparse:oid"). The last line that matches a path decides.
 */
import { compileGlob, type Glob, matchesGlob } from './wildmatch.ts';

interface Pattern {
  readonly negative: boolean;
  readonly foldersOnly: boolean;
  /** Matched against the last component alone, where the line names no folder. */
  readonly baseOnly: boolean;
  /** What the path must begin with, up to the first special character. Empty for `baseOnly`. */
  readonly prefix: string;
  readonly rest: Glob | undefined;
}

/** `undefined` where no line speaks of the path. */
export type PatternVerdict = 'keep' | 'omit' | undefined;

/** One component or path as its bytes, a character each. */
export interface PathName {
  readonly path: string;
  readonly base: string;
  readonly isFolder: boolean;
}

export class SparsePatterns {
  readonly #patterns: readonly Pattern[];

  constructor(patterns: readonly Pattern[]) {
    this.#patterns = patterns;
  }

  verdict(name: PathName): PatternVerdict {
    for (let i = this.#patterns.length - 1; i >= 0; i--) {
      const pattern = this.#patterns[i] as Pattern;
      if (pattern.foldersOnly && !name.isFolder) continue;
      if (matches(pattern, name)) return pattern.negative ? 'omit' : 'keep';
    }
    return undefined;
  }
}

function matches(pattern: Pattern, name: PathName): boolean {
  if (pattern.rest === undefined) return false;
  if (pattern.baseOnly) return matchesGlob(pattern.rest, name.base);
  if (name.path === '' || !name.path.startsWith(pattern.prefix)) return false;
  return matchesGlob(pattern.rest, name.path.slice(pattern.prefix.length));
}

/** Parses the blob's content. Lines that no path can match are kept, since they match nothing. */
export function parseSparsePatterns(content: Uint8Array): SparsePatterns {
  const patterns: Pattern[] = [];
  for (const line of latin1(withoutByteOrderMark(content)).split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    patterns.push(parsePattern(withoutTrailingSpaces(line.replace(/\r$/, ''))));
  }
  return new SparsePatterns(patterns);
}

function parsePattern(line: string): Pattern {
  const negative = line.startsWith('!');
  let text = negative ? line.slice(1) : line;
  const foldersOnly = text.endsWith('/');
  if (foldersOnly) text = text.slice(0, -1);
  const baseOnly = !text.includes('/');
  if (baseOnly) {
    const rest = compileGlob(text, { slashesApart: false });
    return { negative, foldersOnly, baseOnly, prefix: '', rest };
  }
  if (text.startsWith('/')) text = text.slice(1);
  const special = text.search(/[*?[\\]/);
  const prefix = special < 0 ? text : text.slice(0, special);
  const rest = compileGlob(text.slice(prefix.length), { slashesApart: true });
  return { negative, foldersOnly, baseOnly, prefix, rest };
}

/** Spaces at the end do not count, but for those behind a backslash. */
function withoutTrailingSpaces(line: string): string {
  const spaces = /(?<escapes>\\*)(?<spaces> +)$/.exec(line);
  if (spaces?.groups === undefined) return line;
  const { escapes = '', spaces: run = '' } = spaces.groups;
  const kept = escapes.length % 2 === 1 ? 1 : 0;
  return line.slice(0, line.length - run.length + kept);
}

function withoutByteOrderMark(content: Uint8Array): Uint8Array {
  const marked = content[0] === 0xef && content[1] === 0xbb && content[2] === 0xbf;
  return marked ? content.subarray(3) : content;
}

/** Bytes as characters of the same code, which are compared as git compares bytes. */
export function latin1(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += 8192) {
    text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  }
  return text;
}
