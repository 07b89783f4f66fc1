/** Which of the things under `/git/**` a request asks for, from its method, path and query. Pure. */
import type { GitProtocol } from '../upstream/contract.ts';
import { BoundedMap } from '../upstream/bounded-map.ts';
import {
  parseRepositoryPath,
  type Repository,
  type RepositoryPath,
  type UpstreamConfig,
} from '../upstream/repository.ts';

export interface GitTarget {
  readonly repository: Repository;
  readonly rest: string;
  /** With its `?`, or empty. */
  readonly query: string;
}

export type GitRoute =
  | { readonly kind: 'advertise' | 'upload_pack' | 'push' | 'proxy'; readonly target: GitTarget }
  | { readonly kind: 'refused'; readonly status: 400 | 404 | 405; readonly reason: string; readonly allow?: string };

const PROXIED_METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'];

/** `parsePath`: see `createPathParser`. */
export function routeGit(
  method: string,
  url: { readonly pathname: string; readonly query: string },
  parsePath: (pathname: string) => RepositoryPath,
): GitRoute {
  const path = parsePath(url.pathname);
  if (path.kind === 'bad_request') return { kind: 'refused', status: 400, reason: path.reason };
  if (path.kind === 'unknown_upstream') {
    return { kind: 'refused', status: 404, reason: `${path.name} is not one of the configured upstreams` };
  }
  const { repository, rest } = path;
  const target: GitTarget = { repository, rest, query: url.query };
  const allowed = methodsOf(rest);
  if (!allowed.includes(method)) {
    const allow = allowed.join(', ');
    return { kind: 'refused', status: 405, reason: `this path takes ${allow}`, allow };
  }
  switch (rest) {
    case '/info/refs':
      return { kind: serviceOf(url.query) === 'git-upload-pack' ? 'advertise' : 'proxy', target };
    case '/git-upload-pack':
      return { kind: 'upload_pack', target };
    case '/git-receive-pack':
      return { kind: 'push', target };
    default:
      return { kind: 'proxy', target };
  }
}

const MAX_PATHS = 1_024;
/** Longer ones are nobody's who comes again. */
const MAX_PATH_CHARS = 512;

/** Reads paths, those that came lately without looking at them once more. Memory: 1,024 of them, some 2 KiB each at most. */
export function createPathParser(upstreams: ReadonlyMap<string, UpstreamConfig>): (pathname: string) => RepositoryPath {
  const known = new BoundedMap<string, RepositoryPath>(MAX_PATHS);
  return (pathname) => {
    const present = known.get(pathname);
    if (present !== undefined) return present;
    const path = parseRepositoryPath(pathname, upstreams);
    if (path.kind === 'repository' && pathname.length <= MAX_PATH_CHARS) known.set(pathname, path);
    return path;
  };
}

function methodsOf(rest: string): readonly string[] {
  if (rest === '/info/refs') return ['GET', 'HEAD'];
  if (/^\/git-[a-z-]+$/.test(rest)) return ['POST'];
  return PROXIED_METHODS;
}

function serviceOf(query: string): string | null {
  // As git asks.
  if (query === '?service=git-upload-pack') return 'git-upload-pack';
  return new URLSearchParams(query).get('service');
}

/** The protocol version of a `Git-Protocol` field, as git reads it: the highest `version=N` of the colon list that it knows. */
export function parseGitProtocol(field: string | null): GitProtocol {
  let version: GitProtocol = 0;
  for (const item of (field ?? '').split(':')) {
    if (item === 'version=2') version = 2;
    else if (item === 'version=1' && version < 1) version = 1;
  }
  return version;
}
