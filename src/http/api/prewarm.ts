/** `GET /api/v1/prewarm`: the pass that runs, or the last one. */
import type { ApiAnswer, ApiDeps } from './api.ts';

export function answerPrewarm(deps: Pick<ApiDeps, 'warm'>): Promise<ApiAnswer> {
  const { running, startedAtMs, endedAtMs, outcome, repos } = deps.warm.state();
  const value = {
    running,
    startedAt: dateOf(startedAtMs),
    endedAt: dateOf(endedAtMs),
    outcome: outcome ?? null,
    repos,
  };
  return Promise.resolve({ kind: 'json', value });
}

/** ISO 8601, or null. */
export function dateOf(ms: number | undefined): string | null {
  return ms === undefined || !Number.isFinite(ms) ? null : new Date(ms).toISOString();
}
