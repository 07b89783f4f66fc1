/** `GET /api/v1/prewarm`: the pass that runs, or the last one. */
import { dateOf, type ApiAnswer, type ApiDeps } from './contract.ts';

export async function answerPrewarm(deps: Pick<ApiDeps, 'warm'>): Promise<ApiAnswer> {
  const { running, startedAtMs, endedAtMs, outcome, repos } = await deps.warm.state();
  const value = {
    running,
    startedAt: dateOf(startedAtMs),
    endedAt: dateOf(endedAtMs),
    outcome: outcome ?? null,
    repos,
  };
  return { kind: 'json', value };
}
