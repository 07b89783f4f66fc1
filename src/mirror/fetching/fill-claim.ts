/**
 * First fills where other machines work over the same store: a claim lets one of them fill a repository at a time. A client's own clone
 * waits for nobody: it passes through, and the fill is left to who is at it; whether that one has died is looked at later. Work that
 * no client waits for waits until that one has ended or has died.
 */
import type { Claims } from '../../jobs/claims.ts';

/** How long a process that was killed in mid-fill keeps others from filling. */
export const FILL_CLAIM_TTL_MS = 15_000;

export interface ClaimedFill<T> {
  /** Absent: nobody else fills. */
  readonly claims: Claims | undefined;
  /** `Repository.key`. */
  readonly repositoryKey: string;
  readonly isHere: () => Promise<boolean>;
  readonly fill: () => Promise<T>;
  /** False: where somebody else is at it, that is the outcome at once. */
  readonly waits: boolean;
  readonly signal: AbortSignal;
}

export async function fillOnce<T>(options: ClaimedFill<T>): Promise<T | 'filled' | 'elsewhere'> {
  const { claims, repositoryKey, isHere, fill, waits, signal } = options;
  while (true) {
    // oxlint-disable-next-line no-await-in-loop -- looks again after each wait
    if (await isHere()) return 'filled';
    if (claims === undefined) return fill();
    const waiting = waits ? { onWait: () => undefined } : {};
    // oxlint-disable-next-line no-await-in-loop
    const answer = await claims.take(`fill/${repositoryKey}`, { signal, ...waiting });
    if (answer.kind === 'claimed') {
      try {
        // oxlint-disable-next-line no-await-in-loop -- the one before us may have ended between our two looks
        return (await isHere()) ? 'filled' : await fill();
      } finally {
        // oxlint-disable-next-line no-await-in-loop
        await answer.claim.release();
      }
    }
    if (!waits) return 'elsewhere';
  }
}
