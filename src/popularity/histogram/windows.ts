/**
 * Until when a day may be written, from when it may be tidied. Between the two lies a day in which nothing happens: it swallows what
 * clocks differ, how old a read may be, and how late a write that seemed to fail may take place.
 */
import { endOfDayMs, type Day } from './day.ts';

const HOUR_MS = 3_600_000;
/** After its day a key that was written is never written again: what comes late goes under keys of its own. */
const REWRITTEN_FOR_MS = 24 * HOUR_MS;
/** A day's shards are gathered into a record from then on. */
const CLOSED_AFTER_MS = 48 * HOUR_MS;

export function mayRewrite(day: Day, nowMs: number): boolean {
  return nowMs < endOfDayMs(day) + REWRITTEN_FOR_MS;
}

export function isClosed(day: Day, nowMs: number): boolean {
  return nowMs >= endOfDayMs(day) + CLOSED_AFTER_MS;
}
