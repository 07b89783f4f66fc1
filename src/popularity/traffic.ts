/** The fields in which a repository's traffic is counted, and back. */
import type { CountedSource, Traffic } from './contract.ts';

const SOURCES: readonly CountedSource[] = ['pack-cache', 'mirror', 'upstream'];
const SHAPE = 'shape ';
const OTHER = 'other';
/** Fields of one repository and day: beyond them a new shape is `other`. */
const MAX_FIELDS = 40;
const TOP_SHAPES = 16;

export function answerFields(source: CountedSource): { readonly requests: string; readonly bytes: string } {
  return { requests: `requests ${source}`, bytes: `bytes ${source}` };
}

/** The field to count a shape in, next to those that are there. */
export function shapeField(present: ReadonlyMap<string, unknown> | undefined, shape: string): string {
  const field = `${SHAPE}${shape}`;
  const isRoom = present === undefined || present.has(field) || present.size < MAX_FIELDS;
  return isRoom ? field : `${SHAPE}${OTHER}`;
}

export function trafficOf(fields: ReadonlyMap<string, number>): Traffic {
  const by = (what: 'requests' | 'bytes'): Record<CountedSource, number> => {
    const counts = SOURCES.map((source) => [source, fields.get(answerFields(source)[what]) ?? 0] as const);
    return Object.fromEntries(counts) as Record<CountedSource, number>;
  };
  const shapes = [...fields]
    .filter(([field]) => field.startsWith(SHAPE))
    .map(([field, count]) => ({ shape: field.slice(SHAPE.length), count }))
    .toSorted((left, right) => right.count - left.count || (left.shape < right.shape ? -1 : 1))
    .slice(0, TOP_SHAPES);
  return { requests: by('requests'), bytes: by('bytes'), shapes };
}
