/**
 * Who may read what, now. Nothing of the answer may be used for another request, another repository or another
 * credential; what is kept between requests is kept in here.
 */
import type { Capabilities } from '../protocol/capabilities/capability.ts';
import type { RefsSnapshot } from '../protocol/refs-snapshot.ts';
import type { GitProtocol, UpstreamAnswer } from '../upstream/contract.ts';
import type { Credential } from '../upstream/credential.ts';
import type { Repository } from '../upstream/repository.ts';

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

export type AccessDecision =
  | Granted
  | { readonly kind: 'denied'; readonly answer: UpstreamAnswer }
  /** `location` is within hotpack; undefined where upstream leads out of the configured ones. */
  | { readonly kind: 'redirect'; readonly status: number; readonly location: string | undefined }
  | {
      readonly kind: 'unavailable';
      readonly message: string;
      readonly retryAtMs: number;
      /** What upstream said with its 429 or 5xx, where it said something. */
      readonly answer?: UpstreamAnswer;
    };

export interface Access {
  /** `aborted` where the signal fires; nothing else rejects. Costs at most one upstream request (two for the first v0 client of a repository). */
  check(
    repository: Repository,
    credential: Credential | undefined,
    options: {
      readonly gitProtocol: GitProtocol;
      readonly arrivedAtMs?: number;
      readonly signal?: AbortSignal | undefined;
    },
  ): Promise<AccessDecision>;
}
