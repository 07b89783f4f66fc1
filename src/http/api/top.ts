/** `GET /api/v1/repos/top?days=14&limit=20`. */
import type { ApiAnswer, ApiDeps } from './contract.ts';

const BOUNDS = { days: { fallback: 14, max: 90 }, limit: { fallback: 20, max: 1_000 } } as const;

export async function answerTop(
  deps: Pick<ApiDeps, 'popularity'>,
  query: URLSearchParams,
  signal: AbortSignal,
): Promise<ApiAnswer> {
  const days = wholeNumber(query, 'days');
  const limit = wholeNumber(query, 'limit');
  if (typeof days !== 'number') return days;
  if (typeof limit !== 'number') return limit;
  return { kind: 'json', value: await deps.popularity.top({ days, limit }, signal) };
}

function wholeNumber(query: URLSearchParams, name: keyof typeof BOUNDS): number | ApiAnswer {
  const { fallback, max } = BOUNDS[name];
  const text = query.get(name);
  if (text === null) return fallback;
  const value = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (value >= 1 && value <= max) return value;
  return { kind: 'error', status: 400, code: 'bad_request', message: `${name} is a whole number from 1 to ${max}` };
}
