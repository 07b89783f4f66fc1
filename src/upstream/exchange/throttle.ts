/**
 * When an upstream wants to be left alone. Kept per upstream and kind of asker, since hosts count by address for the
 * anonymous and by account for a token; clients with credentials of their own are their host's business.
 *
 * `Retry-After` is honoured up to an hour. Without one the pause doubles from 5 s to 5 min with each refusal that
 * comes after the last pause ended, and one good answer ends it.
 */
import type { UpstreamConfig } from '../repository.ts';

export type Asker = 'anonymous' | 'token' | 'client';

export interface Throttle {
  /** Notes a refusal and returns when to come back, in ms since the epoch. */
  refused(upstream: UpstreamConfig, asker: Asker, retryAfter: string | null): number;
  answered(upstream: UpstreamConfig, asker: Asker): void;
  untilMs(upstream: UpstreamConfig, asker: Asker): number | undefined;
}

const FIRST_PAUSE_MS = 5_000;
const LONGEST_PAUSE_MS = 300_000;
const LONGEST_RETRY_AFTER_MS = 3_600_000;

export function createThrottle(now: () => number): Throttle {
  const pauses = new Map<string, { readonly untilMs: number; readonly pauseMs: number }>();
  const keyOf = (upstream: UpstreamConfig, asker: Asker): string => `${asker} ${upstream.name}`;

  return {
    refused(upstream, asker, retryAfter) {
      const asked = parseRetryAfterMs(retryAfter, now());
      if (asker === 'client') return now() + (asked ?? FIRST_PAUSE_MS);
      const key = keyOf(upstream, asker);
      const last = pauses.get(key);
      const running = last !== undefined && last.untilMs > now();
      const doubled = last === undefined ? FIRST_PAUSE_MS : running ? last.pauseMs : last.pauseMs * 2;
      const pauseMs = Math.min(doubled, LONGEST_PAUSE_MS);
      const untilMs = Math.max(running ? last.untilMs : 0, now() + (asked ?? (running ? 0 : pauseMs)));
      pauses.set(key, { untilMs, pauseMs });
      return untilMs;
    },
    answered(upstream, asker) {
      pauses.delete(keyOf(upstream, asker));
    },
    untilMs(upstream, asker) {
      const pause = pauses.get(keyOf(upstream, asker));
      return pause !== undefined && pause.untilMs > now() ? pause.untilMs : undefined;
    },
  };
}

/** Seconds or an HTTP date, as milliseconds from now between 0 and an hour; undefined where it says neither. */
export function parseRetryAfterMs(value: string | null, nowMs: number): number | undefined {
  if (value === null) return undefined;
  const text = value.trim();
  const date = /^[A-Za-z].* GMT$/.test(text) ? Date.parse(text) - nowMs : Number.NaN;
  const ms = /^\d{1,12}$/.test(text) ? Number(text) * 1000 : date;
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), LONGEST_RETRY_AFTER_MS);
}
