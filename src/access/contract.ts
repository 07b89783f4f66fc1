/**
 * Who may read what, now. Nothing of the answer may be used for another request, another repository or another
 * credential; what is kept between requests is kept in here.
 */
import type { GitProtocol, UpstreamAnswer } from '../upstream/contract.ts';
import type { Credential } from '../upstream/credential.ts';
import type { Granted } from '../upstream/granted.ts';
import type { Repository } from '../upstream/repository.ts';

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
