/**
 * Where a redirect leads: a `Location` within a configured upstream is told in hotpack's own paths, so that the client
 * stays with hotpack; any other one is told nobody, since a client would take its credentials there.
 */
import type { UpstreamConfig } from '../repository.ts';

/** What a client is told of a redirect that hotpack does not hand on. */
export const LEADS_OUTSIDE =
  'upstream redirects out of the configured upstreams (to another host, or another protocol such as ftp); following that is disabled';

/** `/git/<upstream>/…` with the query kept, or undefined where the target is outside every configured upstream. */
export function locationWithin(
  location: string,
  requestUrl: string,
  upstreams: Iterable<UpstreamConfig>,
): string | undefined {
  if (!URL.canParse(location, requestUrl)) return undefined;
  const target = new URL(location, requestUrl);
  if (target.username !== '' || target.password !== '') return undefined;
  let best: { readonly path: string; readonly depth: number } | undefined;
  for (const upstream of upstreams) {
    const base = new URL(upstream.baseUrl);
    const root = base.pathname.endsWith('/') ? base.pathname : `${base.pathname}/`;
    if (base.origin !== target.origin || !target.pathname.startsWith(root)) continue;
    // Two upstreams may share an origin: the one that says more of the path is meant.
    if (best === undefined || root.length > best.depth) {
      best = { path: `/git/${upstream.name}/${target.pathname.slice(root.length)}`, depth: root.length };
    }
  }
  return best === undefined ? undefined : `${best.path}${target.search}`;
}

export function isRedirect(status: number): boolean {
  return status === 301 || status === 302 || status === 303 || status === 307 || status === 308;
}
