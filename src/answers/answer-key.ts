/**
 * The canonical name of a question (DESIGN 7): two requests with one key are given the same pack. Order and repeats mean
 * nothing; agent, session, progress and framing change nothing below the sections; of the haves only those count that are
 * here, and names of refs have been resolved to what they name.
 *
 * `include-tag` adds what refs point to: which tags it adds is known once the objects are selected, so it names a variant
 * of the answer (`tagsDigest`), and the tags that could have been added tell whether they need be selected again.
 */
import type { Oid } from '../bytes/oid.ts';
import { sha1HexOf } from '../bytes/sha1.ts';
import type { Deepen, ObjectFilter } from '../pack/selection.ts';
import type { FetchDeepen } from '../protocol/fetch-request.ts';

export interface AnswerQuestion {
  /** `Repository.key`. */
  readonly repository: string;
  /** What names of refs were resolved to is among them. */
  readonly wants: readonly Oid[];
  /** Those that the repository has. */
  readonly haves: readonly Oid[];
  readonly shallows: readonly Oid[];
  /** Names of refs (`notRefs`) only where upstream is the one who resolves them. */
  readonly deepen: Deepen | FetchDeepen;
  readonly filter: ObjectFilter;
  readonly thin: boolean;
  readonly ofsDelta: boolean;
  /** With `include-tag` the digest of all tags that it could add, else undefined. Not in the key. */
  readonly tags: string | undefined;
}

/** 40 hex digits. */
export function answerKey(question: AnswerQuestion): string {
  const { wants, haves, shallows, deepen, filter, thin, ofsDelta, tags } = question;
  return digestOf({
    wants: sortedOnce(wants),
    haves: sortedOnce(haves),
    shallows: sortedOnce(shallows),
    deepen: canonicalDeepen(deepen),
    filter: canonicalFilter(filter),
    // Without haves and a boundary there is nothing that a delta could lean on.
    thin: thin && haves.length + shallows.length > 0,
    ofsDelta,
    includeTag: tags !== undefined,
  });
}

/** 40 hex digits for a set of tags. */
export function tagsDigest(tags: readonly Oid[]): string {
  return digestOf(sortedOnce(tags));
}

function canonicalDeepen(deepen: Deepen | FetchDeepen): unknown {
  if (deepen.kind !== 'revs') return deepen;
  const { kind, sinceSeconds } = deepen;
  return 'not' in deepen
    ? { kind, sinceSeconds, not: sortedOnce(deepen.not) }
    : { kind, sinceSeconds, notRefs: sortedOnce(deepen.notRefs) };
}

/** `combine` keeps what every part keeps: in any order, however nested. */
function canonicalFilter(filter: ObjectFilter): ObjectFilter {
  if (filter.kind !== 'combine') return filter;
  const parts = filter.parts.map(canonicalFilter).flatMap((part) => (part.kind === 'combine' ? part.parts : [part]));
  const once = new Map(parts.map((part) => [JSON.stringify(part), part]));
  const sorted = [...once].toSorted(([left], [right]) => (left < right ? -1 : 1)).map(([, part]) => part);
  const [only, ...others] = sorted;
  return only !== undefined && others.length === 0 ? only : { kind: 'combine', parts: sorted };
}

function sortedOnce(texts: readonly string[]): string[] {
  return [...new Set(texts)].toSorted();
}

function digestOf(value: unknown): string {
  return sha1HexOf(new TextEncoder().encode(JSON.stringify(value)));
}
