/**
 * Warms one repository: claimed, so that of several instances one does it; asked for with hotpack's own credential alone; and under
 * one time limit from the first question to the last byte, so that an upstream that trickles cannot hold a pass. The limit is
 * upstream's: while the work waits for its place among the jobs the clock stands still.
 */
import { createDeadline } from '../bytes/abort.ts';
import { HotpackError, isHotpackError } from '../bytes/error.ts';
import type { Oid } from '../bytes/oid.ts';
import type { Claims } from '../jobs/claims.ts';
import type { FillRoom, Heat } from '../mirror/maintenance/space/fill-rooms.ts';
import type { Mirror, WarmOutcome } from '../mirror/mirror.ts';
import type { Asker, Waiting } from '../mirror/services.ts';
import type { Traffic } from '../popularity/contract.ts';
import type { Upstream } from '../upstream/contract.ts';
import { failureOf } from '../upstream/failure.ts';
import type { Repository } from '../upstream/repository.ts';
import type { WarmedRepository, WarmPath, WarmProgress, WarmStatus } from './contract.ts';

export interface WarmingDeps {
  readonly mirrorOf: (repository: Repository) => Pick<Mirror, 'warm' | 'isHere' | 'fetchWants' | 'lastAskedAtMs'>;
  readonly upstream: Pick<Upstream, 'probeAsHotpack'>;
  readonly claims: Claims;
  /** What a first fill may bring. Undefined, or absent: as much as comes. Rejects where the store fails, and with `aborted`. */
  readonly roomFor?: (heat: Heat, signal: AbortSignal) => Promise<FillRoom | undefined>;
  /** Makes the stored answers that clients of a warm mirror will ask for. Rejects with `aborted` alone. Absent: none are made. */
  readonly makeAnswers?: (repository: Repository, asked: Traffic['shapes'], signal: AbortSignal) => Promise<void>;
  readonly now: () => number;
  /** For a mirror that is here. */
  readonly fetchTimeoutMs: number;
  /** For one that is not. */
  readonly cloneTimeoutMs: number;
}

export interface Warming {
  readonly repository: Repository;
  /** What another instance has done since then is not done again. Absent: all is. */
  readonly notDoneSinceMs?: number;
  /** True where the mirror was here when the pass began: else whoever filled it did so for all. */
  readonly wasHere: boolean;
  /** True: where another instance is at it, that is waited for as long as it may have died. */
  readonly waits: boolean;
  /** Objects to be had besides what upstream shows. */
  readonly wants?: readonly Oid[];
  /** Absent: somebody wants it here, whatever goes for it. */
  readonly heat?: Heat;
  /** What its clients asked for, as counted. */
  readonly asked?: Traffic['shapes'];
  readonly onProgress?: ((progress: WarmProgress) => void) | undefined;
}

export type Attempt =
  | {
      readonly kind: 'ended';
      readonly result: WarmedRepository;
      /** The mirror, as far as that was found out. */
      readonly isHere?: boolean;
      /** What went wrong, where that is for the log alone. */
      readonly unexpected?: unknown;
    }
  /** Another instance is at it, and it was not to be waited for. */
  | { readonly kind: 'held' };

/** A part of the first fill is done; the next attempt goes on from there. */
export type Staged = { readonly kind: 'staged' };

/** Never rejects, but for `aborted` when the signal fires. */
export async function warmRepository(
  deps: WarmingDeps,
  warming: Warming,
  signal: AbortSignal,
): Promise<Attempt | Staged> {
  const { now, claims } = deps;
  const { repository, notDoneSinceMs, wasHere, waits, onProgress } = warming;
  const startedAtMs = now();
  let path: WarmPath = wasHere ? 'fetch' : 'clone';
  const ended = (status: WarmStatus, error?: string): Extract<Attempt, { readonly kind: 'ended' }> => {
    const result = { repo: repository.name, path, status, ms: now() - startedAtMs };
    const isHere = status === 'ok' || (status === 'skipped' && path !== 'clone');
    return { kind: 'ended', result: error === undefined ? result : { ...result, error }, isHere };
  };
  const onWait = waits ? () => onProgress?.({ kind: 'waiting' }) : undefined;
  try {
    const answer = await claims.take(claimOf(repository), { signal, notDoneSinceMs, onWait });
    if (answer.kind === 'held') return waits ? ended('skipped', 'another instance is at it') : answer;
    if (answer.kind === 'done') {
      if (!wasHere) path = 'restore';
      return ended('skipped', 'another instance has done it');
    }
    let doneAtMs: number | undefined;
    try {
      const isHere = await deps.mirrorOf(repository).isHere(signal);
      path = !isHere ? 'clone' : wasHere ? 'fetch' : 'restore';
      onProgress?.({ kind: 'started', path });
      const outcome = await bringUp(deps, warming, { isHere, signal });
      if (outcome === 'staged') return { kind: 'staged' };
      if (outcome === 'too_large') return { ...ended('skipped', 'larger than a mirror may be'), isHere: false };
      if (outcome === 'no_room')
        return { ...ended('skipped', 'no room but that of mirrors that are cloned more'), isHere: false };
      await deps.makeAnswers?.(repository, warming.asked ?? [], signal);
      doneAtMs = now();
      return ended('ok');
    } finally {
      await answer.claim.release(doneAtMs);
    }
  } catch (error) {
    if (signal.aborted) throw error;
    const { status, message } = verdictOf(error);
    return isHotpackError(error) ? ended(status, message) : { ...ended(status, message), unexpected: error };
  }
}

/** Of the claims of all warming. */
export const CLAIMS_PREFIX = 'warm/';

/** Left behind as done, it says that warming has made the mirror ready. */
export function claimOf(repository: Repository): string {
  return `${CLAIMS_PREFIX}${repository.key}`;
}

async function bringUp(deps: WarmingDeps, warming: Warming, how: How): Promise<WarmOutcome> {
  const { heat } = warming;
  if (how.isHere || heat === undefined) return bringUpWithin(deps, warming, how);
  const room = await deps.roomFor?.(heat, how.signal);
  if (room?.isNone === true) return 'no_room';
  try {
    return await bringUpWithin(deps, warming, { ...how, room });
  } finally {
    room?.release();
  }
}

interface How {
  readonly isHere: boolean;
  readonly signal: AbortSignal;
  readonly room?: FillRoom | undefined;
}

async function bringUpWithin(
  deps: WarmingDeps,
  { repository, onProgress, wants = [] }: Warming,
  { isHere, signal, room }: How,
): Promise<WarmOutcome> {
  const deadline = createDeadline({
    parents: [signal],
    timeoutMs: isHere ? deps.fetchTimeoutMs : deps.cloneTimeoutMs,
    operation: isHere ? 'the update' : 'the first fill',
  });
  try {
    const probe = await deps.upstream.probeAsHotpack(repository, deadline.signal);
    if (probe.kind !== 'ok') throw failureOf(probe);
    const { transport, objectFormat } = probe;
    if (transport.kind !== 'v2' || objectFormat !== 'sha1') {
      throw new HotpackError('unsupported', 'upstream speaks no protocol v2 over SHA-1 here: it is passed through');
    }
    const asker: Asker = {
      credential: undefined,
      capabilities: transport.capabilities,
      // Only a request without a credential tells.
      visibility: repository.upstream.token === undefined ? 'public' : 'unknown',
    };
    const mirror = deps.mirrorOf(repository);
    const waiting: Waiting = {
      signal: deadline.signal,
      onProgress: (bytes) => onProgress?.({ kind: 'received', bytes }),
      onQueued: (started) => deadline.standStill(started),
    };
    const outcome = await mirror.warm(asker, waiting, room);
    if (outcome === 'staged' || outcome === 'too_large' || outcome === 'no_room') return outcome;
    if (wants.length > 0) await mirror.fetchWants(wants, asker, waiting);
    return outcome;
  } finally {
    deadline.dispose();
  }
}

/** A status with what upstream or the store said; never a secret. */
function verdictOf(error: unknown): { readonly status: WarmStatus; readonly message: string } {
  if (!isHotpackError(error)) return { status: 'error', message: 'hotpack failed' };
  const { message, detail } = error;
  switch (error.code) {
    case 'timeout':
      return { status: 'timeout', message };
    case 'unsupported':
      return { status: 'skipped', message };
    case 'upstream_denied': {
      const { status } = detail;
      const isGone = status === 404 || status === 410;
      return { status: isGone ? 'gone' : status === 401 || status === 403 ? 'no_access' : 'error', message };
    }
    default:
      return { status: 'error', message };
  }
}
