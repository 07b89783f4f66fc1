/**
 * The entries of a tree object, one after the other, without an allocation an entry: `mode SP name NUL` and
 * 20 bytes of name (git's "gitformat" of trees). A cursor can be opened on the next tree when it is done.
 */
import { OID_BYTES } from '../../../bytes/oid.ts';

export const ENTRY_TREE = 0;
export const ENTRY_BLOB = 1;
/** A submodule's commit: not an object of this repository. */
export const ENTRY_GITLINK = 2;
export type TreeEntryKind = typeof ENTRY_TREE | typeof ENTRY_BLOB | typeof ENTRY_GITLINK;

const SPACE = 0x20;
const FORMAT_MASK = 0o170000;
const FORMAT_DIRECTORY = 0o040000;
const FORMAT_GITLINK = 0o160000;
const NOTHING = new Uint8Array(0);

export class TreeCursor {
  content: Uint8Array = NOTHING;
  kind: TreeEntryKind = ENTRY_BLOB;
  /** The entry's path component: bytes `nameStart` to `nameEnd` of `content`. */
  nameStart = 0;
  nameEnd = 0;
  /** Where the entry's 20 bytes lie in `content`. */
  oidOffset = 0;
  /** What is wrong with the tree, once `next` has come upon it. */
  flaw: string | undefined = undefined;
  #at = 0;

  open(content: Uint8Array): void {
    this.content = content;
    this.#at = 0;
    this.flaw = undefined;
  }

  /** Moves to the next entry; false at the end or where the tree is malformed (then `flaw` says how). */
  next(): boolean {
    const { content } = this;
    let at = this.#at;
    if (at >= content.length) return false;
    let mode = 0;
    const modeStart = at;
    for (; ; at++) {
      const byte = content[at];
      if (byte === SPACE && at > modeStart) break;
      if (byte === undefined || byte < 0x30 || byte > 0x37) return this.#fail('a malformed mode');
      mode = ((mode << 3) | (byte - 0x30)) & 0o777777;
    }
    const nameStart = at + 1;
    const nameEnd = content.indexOf(0, nameStart);
    if (nameEnd < 0 || nameEnd + 1 + OID_BYTES > content.length) return this.#fail('a cut entry');
    if (nameEnd === nameStart) return this.#fail('an entry without a name');
    const format = mode & FORMAT_MASK;
    this.kind = format === FORMAT_DIRECTORY ? ENTRY_TREE : format === FORMAT_GITLINK ? ENTRY_GITLINK : ENTRY_BLOB;
    this.nameStart = nameStart;
    this.nameEnd = nameEnd;
    this.oidOffset = nameEnd + 1;
    this.#at = nameEnd + 1 + OID_BYTES;
    return true;
  }

  #fail(flaw: string): false {
    this.flaw = flaw;
    this.#at = this.content.length;
    return false;
  }
}
