/**
 * An expected failure as an error, where the caller has nothing of its own to do about it. Upstream's own answer travels
 * beside the error, so that the front desk can relay it: it holds bytes and fields that do not belong into a log line.
 */
import { HotpackError } from '../bytes/error.ts';
import type { Failure, Refused, UpstreamAnswer } from './contract.ts';

const answers = new WeakMap<Error, UpstreamAnswer>();

/** `upstream_denied`, `upstream_throttled`, `upstream_unavailable`, `timeout` or `upstream_refused`. */
export function failureOf(failure: Failure | Refused): HotpackError {
  const error = errorOf(failure);
  if ('answer' in failure && failure.answer !== undefined) answers.set(error, failure.answer);
  return error;
}

/** What upstream said, where the error is of `failureOf` and upstream said something. */
export function answerOfError(error: unknown): UpstreamAnswer | undefined {
  return error instanceof Error ? answers.get(error) : undefined;
}

function errorOf(failure: Failure | Refused): HotpackError {
  switch (failure.kind) {
    case 'refused':
      return new HotpackError('upstream_refused', failure.message, { detail: { message: failure.message } });
    case 'denied':
      return new HotpackError('upstream_denied', `upstream answered ${failure.answer.status}`, {
        detail: { status: failure.answer.status },
      });
    case 'redirect':
      return new HotpackError('upstream_unavailable', 'upstream redirected a data request');
    case 'throttled':
      return new HotpackError('upstream_throttled', 'upstream asks to come later', {
        detail: { status: failure.answer.status, retryAtMs: failure.retryAtMs },
      });
    case 'unavailable':
      return new HotpackError(failure.reason === 'timeout' ? 'timeout' : 'upstream_unavailable', failure.message, {
        detail: { reason: failure.reason, retryAtMs: failure.retryAtMs },
      });
  }
}
