/** Days of UTC, as `2026-11-22`: in order as text. */
export type Day = string;

const DAY_MS = 86_400_000;

/** Asked for with every request: the last answer is kept. */
let last = { number: Number.NaN, day: '' };

export function dayOf(ms: number): Day {
  const number = Math.floor(ms / DAY_MS);
  if (number !== last.number) last = { number, day: new Date(ms).toISOString().slice(0, 10) };
  return last.day;
}

export function addDays(day: Day, days: number): Day {
  return dayOf(startOfDayMs(day) + days * DAY_MS);
}

export function startOfDayMs(day: Day): number {
  return Date.parse(`${day}T00:00:00Z`);
}

/** The first millisecond that is not in it. */
export function endOfDayMs(day: Day): number {
  return startOfDayMs(day) + DAY_MS;
}

/** True for a day of the calendar from 1970 to 9999. */
export function isDay(text: string): boolean {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return false;
  const ms = startOfDayMs(text);
  return ms >= 0 && dayOf(ms) === text;
}
