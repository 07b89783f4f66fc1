/**
 * How long an upstream is waited for when it is asked who may read, or for its refs. One that has let the whole limit go by is
 * given little time for a minute, so that an outage costs somebody the whole limit once a minute and not everybody
 * at every question; its first answer makes it an upstream like any other again.
 */
import type { UpstreamConfig } from '../repository.ts';

export interface Patience {
  /** For a question that begins now, in ms. */
  timeoutMs(upstream: UpstreamConfig): number;
  answered(upstream: UpstreamConfig): void;
  /** The question was given `timeoutMs`, and they are over. */
  timedOut(upstream: UpstreamConfig, timeoutMs: number): void;
}

const SHORT_MS = 3_000;
const SHORT_FOR_MS = 60_000;

/** `limitMs`: what an upstream is given that answers. */
export function createPatience(now: () => number, limitMs: number): Patience {
  const shortUntilMs = new Map<string, number>();

  return {
    timeoutMs({ name }) {
      const untilMs = shortUntilMs.get(name);
      if (untilMs === undefined) return limitMs;
      if (now() < untilMs) return Math.min(SHORT_MS, limitMs);
      // One is patient; who comes while he waits is not.
      shortUntilMs.set(name, now() + limitMs + SHORT_FOR_MS);
      return limitMs;
    },
    answered({ name }) {
      shortUntilMs.delete(name);
    },
    timedOut({ name }, timeoutMs) {
      // A slow upstream that answers within the limit must get it again.
      if (timeoutMs === limitMs) shortUntilMs.set(name, now() + SHORT_FOR_MS);
    },
  };
}
