/**
 * One protocol v2 request (gitprotocol-v2, "Command Request"): capability lines and `command=` in any order up
 * to the delimiter, then the command's arguments up to the flush.
 */
import type { FetchRequest } from './fetch-request.ts';
import type { LsRefsRequest } from './ls-refs/request.ts';

/** What the lines before the delimiter said besides the command. */
export interface V2RequestContext {
  readonly agent: string | undefined;
  readonly serverOptions: readonly string[];
  /** Every capability line as sent, in order, agent and server options among them. */
  readonly capabilities: readonly string[];
}

export type V2Command =
  | { readonly kind: 'ls-refs'; readonly request: LsRefsRequest; readonly context: V2RequestContext }
  | { readonly kind: 'fetch'; readonly request: FetchRequest; readonly context: V2RequestContext }
  /** Well-formed, but for upstream to answer (`object-info`, `bundle-uri`, …). */
  | { readonly kind: 'other'; readonly command: string; readonly context: V2RequestContext }
  /** A lone flush, or no bytes at all: git's probe before a large body. Answered with nothing. */
  | { readonly kind: 'empty' };
