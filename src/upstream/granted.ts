/** What a request brings along once it is known that its sender may read the repository. */
import type { Capabilities } from '../protocol/capabilities/capability.ts';
import type { RefsSnapshot } from '../protocol/refs-snapshot.ts';

/** What a repository's upstream can do, learned with the checks. */
export interface UpstreamFacts {
  /** True where only byte-for-byte forwarding is right: no protocol v2, dumb HTTP, or SHA-256 objects. */
  readonly proxyOnly: boolean;
  readonly objectFormat: string;
  /** The lines after `version 2`; empty where upstream does not speak it. */
  readonly v2Capabilities: Capabilities;
  /** The list behind the first ref of a v0 advertisement; there where a check was ever made for a v0 or v1 client, so always for one that is not `stale`. */
  readonly v0Capabilities?: Capabilities;
}

export interface Granted {
  readonly kind: 'granted';
  readonly facts: UpstreamFacts;
  /** `public` only where a request without any credential was answered lately. */
  readonly visibility: 'public' | 'private';
  /** When the confirming request was sent. */
  readonly confirmedAtMs: number;
  /** True: upstream gives no answer now, and the last yes is younger than the stale limit. */
  readonly stale: boolean;
  /**
   * The refs that upstream's own v0 advertisement listed, where this very check asked for one: `sentAtMs` is when. A v0
   * client can be answered with them without a second request.
   */
  readonly advertised?: { readonly refs: RefsSnapshot; readonly sentAtMs: number };
}
