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

/** True where both say the same, in the same order. */
export function isEqualSnapshot(left: RefsSnapshot, right: RefsSnapshot): boolean {
  if (left === right) return true;
  if (left.refs.length !== right.refs.length || !isEqualHead(left.head, right.head)) return false;
  return left.refs.every((ref, i) => isEqualRef(ref, right.refs[i] as Ref));
}

function isEqualHead(left: Head, right: Head): boolean {
  const oid = (head: Head): Oid | undefined => ('oid' in head ? head.oid : undefined);
  const target = (head: Head): string | undefined => ('target' in head ? head.target : undefined);
  return left.kind === right.kind && oid(left) === oid(right) && target(left) === target(right);
}

function isEqualRef(left: Ref, right: Ref): boolean {
  return (
    left.oid === right.oid &&
    left.name === right.name &&
    left.peeled === right.peeled &&
    left.symrefTarget === right.symrefTarget &&
    left.attributes?.join(' ') === right.attributes?.join(' ')
  );
}
