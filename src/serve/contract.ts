/** What the front desk hands to the room that answers: one request of a client that may read the repository. */
import type { Granted } from '../upstream/granted.ts';
import type { GitProtocol } from '../upstream/contract.ts';
import type { Credential } from '../upstream/credential.ts';
import type { Repository } from '../upstream/repository.ts';

export interface ServeContext {
  readonly repository: Repository;
  /** The client's own; for questions to upstream on his behalf while this request lives. */
  readonly credential: Credential | undefined;
  readonly protocol: GitProtocol;
  readonly granted: Granted;
  /** Fires when the client leaves or the process ends. */
  readonly signal: AbortSignal;
  /** When the request arrived: what it is shown must have been asked for after this, or be young enough. */
  readonly arrivedAtMs: number;
  /** Keeps the runtime alive for work that outlives the answer, where the runtime has such a thing. */
  readonly waitUntil?: ((promise: Promise<unknown>) => void) | undefined;
}

export interface Serve {
  /** `GET info/refs?service=git-upload-pack`. */
  advertise(context: ServeContext): Promise<Response>;
  /**
   * `POST git-upload-pack`; `body` is decoded and within its bound. The answer carries `x-hotpack-source`. Errors that the
   * client should read are thrown as HotpackErrors before the answer begins; the front desk puts them as git expects.
   */
  uploadPack(context: ServeContext, body: Uint8Array): Promise<Response>;
}
