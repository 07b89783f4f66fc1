/**
 * A fetch as a line of text without object names: requests of one shape, for the same wants, are answered with the same pack.
 *
 *     clone head depth=1           what it is, what is wanted, and what changes the pack: `depth`, `since`, `not`,
 *     clone many filter=blob:none  `filter`, `tags`
 *
 * Dates, names and ids are left out, so that a repository's shapes are few.
 */
import type { Oid } from '../bytes/oid.ts';
import type { FetchFilter, FetchRequest, UnsupportedFilter } from '../protocol/fetch-request.ts';

export interface ShapeFacts {
  /** What HEAD points to upstream, as last known. */
  readonly headOid: Oid | undefined;
  readonly isAdvertised: (oid: Oid) => boolean;
}

export function requestShape(request: FetchRequest, facts: ShapeFacts): string {
  return [
    asking(request),
    wanted(request, facts),
    ...deepening(request),
    ...filtering(request.filter),
    ...tags(request),
  ].join(' ');
}

function asking({ haves, shallows, done }: FetchRequest): string {
  if (haves.length > 0 || shallows.length > 0) return 'fetch';
  return done ? 'clone' : 'boundary';
}

function wanted({ wants, wantRefs }: FetchRequest, facts: ShapeFacts): string {
  const [only, ...others] = wants;
  if (others.length > 0 || wants.length + wantRefs.length !== 1) return 'many';
  if (only === undefined || (facts.isAdvertised(only) && only !== facts.headOid)) return 'ref';
  return only === facts.headOid ? 'head' : 'object';
}

function deepening({ deepen }: FetchRequest): string[] {
  switch (deepen.kind) {
    case 'none':
      return [];
    case 'depth':
      return [`${deepen.relative ? 'deeper' : 'depth'}=${deepen.depth}`];
    case 'revs':
      return [...(deepen.sinceSeconds === undefined ? [] : ['since']), ...(deepen.notRefs.length === 0 ? [] : ['not'])];
  }
}

function filtering(filter: FetchFilter | UnsupportedFilter): string[] {
  return filter.kind === 'none' ? [] : [`filter=${filterShape(filter)}`];
}

function filterShape(filter: FetchFilter | UnsupportedFilter): string {
  switch (filter.kind) {
    case 'none':
      return 'none';
    case 'blob-none':
      return 'blob:none';
    case 'blob-limit':
      return `blob:limit=${filter.bytes}`;
    case 'tree':
      return `tree:${filter.depth}`;
    case 'object-type':
      return `object:type=${filter.type}`;
    case 'sparse-oid':
      return 'sparse:oid';
    case 'combine':
      return `combine:${filter.parts.slice(0, 4).map(filterShape).join('+')}`.slice(0, 120);
    case 'unsupported':
      return 'unsupported';
  }
}

function tags({ includeTag }: FetchRequest): string[] {
  return includeTag ? ['tags'] : [];
}
