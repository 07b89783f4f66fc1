/** The arguments of v2 `ls-refs` (gitprotocol-v2, "ls-refs"). */
export interface LsRefsRequest {
  readonly peel: boolean;
  readonly symrefs: boolean;
  readonly unborn: boolean;
  /** In order, repeats kept. Empty: every ref. Already emptied where git would give up on them. */
  readonly prefixes: readonly string[];
}
