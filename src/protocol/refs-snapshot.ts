/**
 * The refs of a repository at one moment, as every protocol version can tell them and read by every writer.
 */
import type { Oid } from '../bytes/oid.ts';

export interface Ref {
  /** Full name (`refs/heads/main`), never `HEAD`. */
  readonly name: string;
  readonly oid: Oid;
  /** What an annotated tag finally points to; absent for everything else. */
  readonly peeled?: Oid;
  /** Full name of the ref that this one stands for (`refs/remotes/origin/HEAD`). */
  readonly symrefTarget?: string;
  /** Attributes of an ls-refs line that hotpack does not know, as upstream wrote them (`key:value`). */
  readonly attributes?: readonly string[];
}

/** `absent`: not shown by the server (unborn without saying so, hidden, or outside what was asked for). */
export type Head =
  | { readonly kind: 'symref'; readonly target: string; readonly oid: Oid }
  | { readonly kind: 'detached'; readonly oid: Oid }
  | { readonly kind: 'unborn'; readonly target: string }
  | { readonly kind: 'absent' };

export interface RefsSnapshot {
  readonly head: Head;
  /** In the order upstream gave them, which is git's order by bytes of the name. */
  readonly refs: readonly Ref[];
}

export const NO_REFS: RefsSnapshot = { head: { kind: 'absent' }, refs: [] };
