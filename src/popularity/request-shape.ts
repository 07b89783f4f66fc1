/**
 * A fetch as a line of text without object names: requests of one shape, for the same wants, are answered with the same pack.
 *
 *     clone head depth=1           what it is, what is wanted, and what changes the pack: `depth`, `since`, `not`,
 *     clone many filter=blob:none  `filter`, `tags`
 *
 * Dates, names and ids are left out, so that a repository's shapes are few.
 */
import type { Oid } from '../bytes/oid.ts';
import type { FetchDeepen, FetchFilter, FetchRequest, UnsupportedFilter } from '../protocol/fetch-request.ts';
import { parseFilter } from '../protocol/fetch/filter.ts';

export interface ShapeFacts {
  /** What HEAD points to upstream, as last known. */
  readonly headOid: Oid | undefined;
  readonly isAdvertised: (oid: Oid) => boolean;
}

/** What a shape tells of the pack that is asked for. */
export interface CloneShape {
  /** `one`: a single commit; `all`: every branch. */
  readonly wants: 'one' | 'all';
  readonly deepen: Extract<FetchDeepen, { readonly kind: 'none' | 'depth' }>;
  readonly filter: FetchFilter;
  readonly includeTag: boolean;
}

/** Undefined where it is no clone, or depends on what a shape leaves out. */
export function parseCloneShape(shape: string): CloneShape | undefined {
  const [asking, wanted, ...rest] = shape.split(' ');
  if (asking !== 'clone' || wanted === undefined) return undefined;
  let parsed: CloneShape = {
    wants: wanted === 'many' ? 'all' : 'one',
    deepen: { kind: 'none' },
    filter: { kind: 'none' },
    includeTag: false,
  };
  for (const word of rest) {
    const depth = /^depth=(\d{1,9})$/.exec(word)?.[1];
    const filter = /^filter=(.*)$/.exec(word)?.[1];
    const known = filter === undefined || filter.startsWith('combine:') ? undefined : parseFilter(filter);
    if (depth !== undefined) parsed = { ...parsed, deepen: { kind: 'depth', depth: Number(depth), relative: false } };
    else if (known !== undefined && known.kind !== 'unsupported') parsed = { ...parsed, filter: known };
    else if (word === 'tags') parsed = { ...parsed, includeTag: true };
    else return undefined;
  }
  // That is how a partial clone fetches one of the objects that it left out.
  const isLazy = wanted === 'object' && parsed.filter.kind !== 'none' && parsed.deepen.kind === 'none';
  return isLazy ? undefined : parsed;
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
