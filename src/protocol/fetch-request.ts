/**
 * One fetch as a client asked for it, whatever protocol version it spoke (gitprotocol-v2 "fetch",
 * gitprotocol-pack "Packfile Negotiation"). Parsed once, immutable; below this nobody sees wire text.
 */
import type { Oid } from '../bytes/oid.ts';

/** A filter as git's rev-list --filter names it, sizes in bytes, depths in levels. */
export type FetchFilter =
  | { readonly kind: 'none' }
  | { readonly kind: 'blob-none' }
  | { readonly kind: 'blob-limit'; readonly bytes: number }
  | { readonly kind: 'tree'; readonly depth: number }
  | { readonly kind: 'object-type'; readonly type: 'commit' | 'tree' | 'blob' | 'tag' }
  | { readonly kind: 'sparse-oid'; readonly oid: Oid }
  | { readonly kind: 'combine'; readonly parts: readonly FetchFilter[] };

/** A filter that only upstream can judge: unknown, dropped by git, or one with such a part. */
export interface UnsupportedFilter {
  readonly kind: 'unsupported';
  readonly text: string;
}

/** `depth` counts commits from each want, 1 = the want itself; `relative`: from the client's boundary instead. */
export type FetchDeepen =
  | { readonly kind: 'none' }
  | { readonly kind: 'depth'; readonly depth: number; readonly relative: boolean }
  /** deepen-since (Unix seconds) and deepen-not may come together. `notRefs` are names as the client wrote them. */
  | {
      readonly kind: 'revs';
      readonly sinceSeconds: number | undefined;
      readonly notRefs: readonly string[];
    };

/** How pack bytes are framed in the answer: not at all, or in packets of 1000 or 65520 bytes. v2 always uses 64k. */
export type SideBand = 'none' | 'side-band' | 'side-band-64k';

/** The form of v0/v1 acknowledgments. v2 requests say `multi_ack_detailed`, which is what v2 acknowledgments mean. */
export type AckMode = 'single' | 'multi_ack' | 'multi_ack_detailed';

export interface FetchRequest {
  readonly version: 0 | 1 | 2;
  /** Each once, in the order of first mention. Empty where only `wantRefs` (or, with `waitForDone`, nothing) is wanted. */
  readonly wants: readonly Oid[];
  /** Full ref names that the server resolves (v2 `want-ref`), each once. */
  readonly wantRefs: readonly string[];
  /**
   * As sent, repeats kept: git acknowledges every line. In v0/v1 those up to where `git upload-pack --stateless-rpc`
   * stops reading.
   */
  readonly haves: readonly Oid[];
  /** The client's present boundary, each once. */
  readonly shallows: readonly Oid[];
  readonly deepen: FetchDeepen;
  readonly filter: FetchFilter | UnsupportedFilter;
  /** The filter as the client wrote it; `undefined` when there was none. */
  readonly filterText: string | undefined;
  readonly done: boolean;
  /**
   * What ended the haves. `eof` (v0/v1 only): the body ended right behind the wants; git then answers with the
   * shallow lines alone, no acknowledgment, no pack.
   */
  readonly haveEnd: 'flush' | 'done' | 'eof';
  /** v2: never `ready`, the client says `done` itself. */
  readonly waitForDone: boolean;
  readonly thinPack: boolean;
  readonly ofsDelta: boolean;
  readonly includeTag: boolean;
  readonly noProgress: boolean;
  readonly sideBand: SideBand;
  /** v2: section lines are framed on band 1 too. */
  readonly sidebandAll: boolean;
  readonly ackMode: AckMode;
  /** v0/v1: the pack may follow a `ready` without a further request. Always true in v2. */
  readonly noDone: boolean;
  readonly agent: string | undefined;
  readonly serverOptions: readonly string[];
  /** URI schemes the client takes packs by (v2 `packfile-uris`). */
  readonly packfileUris: readonly string[];
}

/** True where the request asks the server to move the client's shallow boundary. */
export function isDeepening(request: FetchRequest): boolean {
  return request.deepen.kind !== 'none';
}
