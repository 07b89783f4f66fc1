/** `GET /api/v1/repos?limit=100&after=NAME`: what is here, and what was cloned and is not, ordered by name. */
import type { RepositoryState } from '../../mirror/repository-states.ts';
import { dateOf, type ApiAnswer, type ApiDeps } from './contract.ts';

const DAYS = 14;
const ALL = Number.MAX_SAFE_INTEGER;
const MAX_LIMIT = 1_000;

export async function answerRepos(
  deps: Pick<ApiDeps, 'popularity' | 'states'>,
  query: URLSearchParams,
  signal: AbortSignal,
): Promise<ApiAnswer> {
  const text = query.get('limit') ?? '100';
  const limit = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (limit < 1 || limit > MAX_LIMIT) {
    return {
      kind: 'error',
      status: 400,
      code: 'bad_request',
      message: `limit is a whole number from 1 to ${MAX_LIMIT}`,
    };
  }
  const after = query.get('after') ?? '';
  const top = await deps.popularity.top({ days: DAYS, limit: ALL }, signal);
  const clones = new Map(top.repos.map((one) => [one.repo, one.clones]));
  const here = await deps.states.names(signal);
  const names = [...new Set([...here, ...clones.keys()])].filter((name) => name > after).toSorted();
  const repos: unknown[] = [];
  for (const name of names.slice(0, limit)) {
    // oxlint-disable-next-line no-await-in-loop -- a small read each
    repos.push(entryOf(await deps.states.of(name, signal), clones.get(name) ?? 0));
  }
  const next = names.length > limit ? (names[limit - 1] ?? null) : null;
  return { kind: 'json', value: { repos, next } };
}

function entryOf(state: RepositoryState, clones14d: number): unknown {
  const { repo, bytes, packs, refsCheckedAtMs, lastAskedAtMs } = state;
  return {
    repo,
    state: state.state,
    bytes,
    packs,
    refsCheckedAt: dateOf(refsCheckedAtMs),
    lastAskedAt: dateOf(lastAskedAtMs),
    clones14d,
  };
}
