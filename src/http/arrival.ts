/** A request below `/git/` as a runtime hands it over: what of it is never asked for need never be made. */
import type { WriteChallenges } from './answer-response.ts';
import type { ArrivingBody } from './arriving-body.ts';

/** What is asked of `Headers`: names in lower case, fields that came more than once joined. */
export type RequestHeaders = Pick<Headers, 'get'> & Iterable<readonly [string, string]>;

export interface GitArrival {
  readonly method: string;
  /** As it came: path and query, or all of it. */
  readonly url: string;
  readonly headers: RequestHeaders;
  readonly body: ArrivingBody;
  /** Fires when the client leaves, or when the process will not wait for its requests any longer. */
  readonly signal: AbortSignal;
  readonly waitUntil?: ((promise: Promise<unknown>) => void) | undefined;
  readonly writeChallenges?: WriteChallenges | undefined;
  /** Called once, when the answer has ended. */
  readonly onEnded?: (() => void) | undefined;
}
