/**
 * The refs that a client is shown: upstream's own, checked as his request demands; where upstream gives no answer, those whose
 * closure is here, for as long as they may outlive it (DESIGN 10).
 */
import { HotpackError } from '../../bytes/error.ts';
import type { RefsScope } from '../../mirror/refs/refs-ledger.ts';
import type { RefsSnapshot } from '../../protocol/refs-snapshot.ts';
import { failureOf } from '../../upstream/failure.ts';
import type { Serving } from '../services.ts';

export interface ShownRefs {
  readonly refs: RefsSnapshot;
  readonly source: 'upstream' | 'mirror';
}

/** Rejects with upstream's failure where there is nothing to fall back to. */
export async function refsShown(serving: Serving, scope: RefsScope): Promise<ShownRefs> {
  const { context, mirror, asker } = serving;
  const { granted, arrivedAtMs, signal } = context;
  if (granted.stale) return heldRefs(serving, new HotpackError('upstream_unavailable', 'upstream gives no answer'));
  const answer = await mirror.refs(scope, { arrivedAtMs, asker, signal });
  if (answer.kind === 'known') return { refs: answer.check.refs, source: 'upstream' };
  const { failure } = answer;
  if (failure.kind === 'unavailable' || failure.kind === 'throttled') return heldRefs(serving, failureOf(failure));
  throw failureOf(failure);
}

async function heldRefs(serving: Serving, failure: HotpackError): Promise<ShownRefs> {
  const { context, mirror, now, staleIfErrorMs } = serving;
  const isYoung = now() - context.granted.confirmedAtMs < staleIfErrorMs;
  const snapshot = isYoung ? await mirror.snapshot(context.signal) : undefined;
  if (snapshot === undefined) throw failure;
  try {
    return { refs: snapshot.held, source: 'mirror' };
  } finally {
    snapshot.release();
  }
}
