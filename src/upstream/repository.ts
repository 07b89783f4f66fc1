/**
 * One identity per repository, made once where a request comes in (and where a stored name is read back);
 * nobody below looks at a URL again.
 *
 * A request path is `/git/<upstream>/<path>[.git]<rest>`. The path is cut from the rest at the endings git
 * itself asks for, longest ending first, so that a repository path keeps every depth (GitLab subgroups) and
 * may hold `.git` or `objects` in its middle. A path with none of them is passed through as it is.
 */
import { HotpackError } from '../bytes/error.ts';
import type { Credential } from './credential.ts';

export interface UpstreamConfig {
  /** As it stands in hotpack's URLs: a host name, or any one segment of `[A-Za-z0-9._-]`. */
  readonly name: string;
  /** What is in front of every repository path: `https://github.com`, without a trailing slash. */
  readonly baseUrl: string;
  /** True where `A/B` and `a/b` are one repository. */
  readonly ignoresCase: boolean;
  /** hotpack's own credential toward this upstream, used for upload-pack alone. */
  readonly token?: Credential;
}

export interface Repository {
  readonly upstream: UpstreamConfig;
  /** `<upstream>/<path>` without one trailing `.git`, in lower case where the upstream ignores case. The identity. */
  readonly name: string;
  /** `<upstream>/<path>.git` with everything but `[A-Za-z0-9._/-]` escaped: a storage key, at most 512 bytes. */
  readonly key: string;
  /** What to ask upstream, as the client spelled it: with or without `.git`, in its case. No trailing slash. */
  readonly url: string;
}

export type RepositoryPath =
  | {
      readonly kind: 'repository';
      readonly repository: Repository;
      /** What follows the repository as the client spelled it: `/info/refs`, `/git-upload-pack`, …; empty where nothing known follows. */
      readonly rest: string;
    }
  | { readonly kind: 'bad_request'; readonly reason: string }
  | { readonly kind: 'unknown_upstream'; readonly name: string };

const MAX_KEY_BYTES = 512;
const MAX_SEGMENT_BYTES = 240;

/**
 * What git, git-lfs and dumb HTTP ask for below a repository, at the end of a path. A match begins at the
 * slash. LFS is looked for first, since an object id or lock id may follow.
 */
const ENDINGS: readonly RegExp[] = [
  /\/info\/lfs(?:\/(?:objects|locks)(?:\/[^/]+){0,3})?$/,
  /\/(?:info\/refs|git-upload-pack|git-receive-pack|git-upload-archive)$/,
  /\/objects\/(?:[0-9a-f]{2}\/(?:[0-9a-f]{38}|[0-9a-f]{62})|pack\/pack-[0-9a-f]{40}(?:[0-9a-f]{24})?\.[a-z]+|info\/[^/]+)$/,
  /\/(?:HEAD|packed-refs|config|description|shallow|info\/[a-z]+|(?:refs|logs)\/.*)$/,
];

/** Reads the path of a request, still percent-encoded, without its query. */
export function parseRepositoryPath(pathname: string, upstreams: ReadonlyMap<string, UpstreamConfig>): RepositoryPath {
  const match = /^\/git\/([^/]+)\/(.+)$/.exec(pathname);
  if (match === null) return { kind: 'bad_request', reason: 'the path is not /git/<upstream>/<path>' };
  const [, upstreamName, encodedPath] = match as unknown as [string, string, string];
  const upstream = upstreams.get(upstreamName.toLowerCase());
  if (upstream === undefined) return { kind: 'unknown_upstream', name: printable(upstreamName) };

  const cut = cutRest(encodedPath);
  const problem = problemOf(cut.path) ?? (cut.rest === '' ? undefined : problemOf(cut.rest.slice(1)));
  if (problem !== undefined) return { kind: 'bad_request', reason: problem };
  const decoded = decodeURIComponent(cut.path);
  const dotGit = upstream.ignoresCase ? /\.git$/i : /\.git$/;
  const identity = identify(upstream, decoded.replace(dotGit, ''));
  if (identity.kind === 'bad_request') return identity;
  return {
    kind: 'repository',
    repository: { ...identity, url: `${upstream.baseUrl}/${cut.path}` },
    rest: cut.rest,
  };
}

/** The repository of a canonical name, as it is stored in counters and lists. Throws `invalid_argument`. */
export function repositoryOfName(name: string, upstreams: ReadonlyMap<string, UpstreamConfig>): Repository {
  const slash = name.indexOf('/');
  const upstream = slash < 0 ? undefined : upstreams.get(name.slice(0, slash).toLowerCase());
  if (upstream === undefined) {
    throw new HotpackError('invalid_argument', 'the name begins with no configured upstream', { detail: { name } });
  }
  const path = name.slice(slash + 1);
  const encoded = path.split('/').map(encodeURIComponent).join('/');
  const problem = problemOf(encoded);
  const identity = problem === undefined ? identify(upstream, path) : { kind: 'bad_request' as const, reason: problem };
  if (identity.kind === 'bad_request') {
    throw new HotpackError('invalid_argument', identity.reason, { detail: { name } });
  }
  return { upstream, name: identity.name, key: identity.key, url: `${upstream.baseUrl}/${encoded}.git` };
}

function cutRest(path: string): { readonly path: string; readonly rest: string } {
  for (const ending of ENDINGS.slice(0, 3)) {
    const found = ending.exec(path);
    if (found !== null && found.index > 0) return { path: path.slice(0, found.index), rest: path.slice(found.index) };
  }
  // Something git does not ask for: a `.git` tells where the repository ends, then the loose endings.
  const dotGit = path.lastIndexOf('.git/');
  if (dotGit > 0) return { path: path.slice(0, dotGit + 4), rest: path.slice(dotGit + 4) };
  const loose = (ENDINGS[3] as RegExp).exec(path);
  if (loose !== null && loose.index > 0) return { path: path.slice(0, loose.index), rest: path.slice(loose.index) };
  return { path, rest: '' };
}

/** Why an encoded path may not be used, in words. Percent-decoding happens here and in `identify`, once each on the same text. */
function problemOf(encoded: string): string | undefined {
  for (const segment of encoded.split('/')) {
    if (segment === '') return 'the path has an empty segment';
    let decoded: string;
    try {
      decoded = decodeURIComponent(segment);
    } catch {
      return 'the path is not percent-encoded UTF-8';
    }
    if (decoded === '.' || decoded === '..') return 'the path has a dot segment';
    if (decoded.includes('/') || decoded.includes('\\')) return 'the path has an encoded slash or a backslash';
    // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
    if (/[\u0000-\u001f\u007f-\u009f]/.test(decoded)) return 'the path has a control character';
  }
  return undefined;
}

type Identity =
  | { readonly kind: 'identity'; readonly upstream: UpstreamConfig; readonly name: string; readonly key: string }
  | { readonly kind: 'bad_request'; readonly reason: string };

/** `decodedPath`: without the one `.git` that a URL may end in. */
function identify(upstream: UpstreamConfig, decodedPath: string): Identity {
  const path = upstream.ignoresCase ? decodedPath.toLowerCase() : decodedPath;
  // Without its `.git` the last segment may be empty or a dot segment after all.
  if (/(?:^|\/)\.{0,2}$/.test(path)) return { kind: 'bad_request', reason: 'the path names no repository' };
  const segments = path.split('/').map(escapeSegment);
  const last = segments.length - 1;
  const key = [upstream.name, ...segments]
    .map((segment, i) => (i <= last ? segment.replace(/\.git$/, '%2Egit') : `${segment}.git`))
    .join('/');
  if (key.length > MAX_KEY_BYTES || segments.some((segment) => segment.length > MAX_SEGMENT_BYTES)) {
    return {
      kind: 'bad_request',
      reason: `the path is longer than ${MAX_KEY_BYTES} bytes, or a part of it than ${MAX_SEGMENT_BYTES}`,
    };
  }
  return { kind: 'identity', upstream, name: `${upstream.name}/${path}`, key };
}

function escapeSegment(segment: string): string {
  return encodeURIComponent(segment).replace(
    /[!'()*~]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function printable(text: string): string {
  return text.slice(0, 100).replace(/[^A-Za-z0-9._%~:-]/g, '?');
}
