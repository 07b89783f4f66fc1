/**
 * What lies in the key-value store, as JSON. A shard is small and written often; a record is written once and holds the shards of
 * eight instances and more, so it names each repository once:
 *
 *     shard   {"v":1,"repos":{"up/a":{"clones":3}}}
 *     record  {"v":1,"repos":["up/a"],"fields":["clones"],"instances":{"i0123abcd":[0,0,3]}}   repo, field, count, …
 *
 * A record's text is the same for the same counts: its SHA-1 is its name.
 */
import { raise, type Counts, type CountsByInstance } from './counts.ts';

/** A longer value is none. */
export const MAX_RECORD_CHARACTERS: number = 24 * 1024 * 1024;
const MAX_NAME = 1_000;

export function writeShard(counts: Counts): string {
  const repos = [...counts].map(([repo, fields]) => [repo, Object.fromEntries(fields)] as const);
  return JSON.stringify({ v: 1, repos: Object.fromEntries(repos) });
}

/** `undefined`: not a shard's text. */
export function parseShard(text: string): Counts | undefined {
  const parsed = parseVersioned(text);
  if (parsed === undefined || !isObject(parsed['repos'])) return undefined;
  const counts: Counts = new Map();
  for (const [repo, fields] of Object.entries(parsed['repos'])) {
    if (!isName(repo) || !isObject(fields)) return undefined;
    for (const [field, count] of Object.entries(fields)) {
      if (!isName(field) || !isCount(count)) return undefined;
      raise(counts, repo, field, count);
    }
  }
  return counts;
}

export function writeRecord(counts: CountsByInstance): string {
  const repoNumbers = numbered([...counts.values()].flatMap((one) => [...one.keys()]));
  const allFields = [...counts.values()].flatMap((one) => [...one.values()].flatMap((fields) => [...fields.keys()]));
  const fieldNumbers = numbered(allFields);
  const instances = [...counts.keys()].toSorted().map((instance) => {
    const cells: number[][] = [];
    for (const [repo, fields] of counts.get(instance) as Counts) {
      for (const [field, count] of fields) {
        cells.push([repoNumbers.get(repo) as number, fieldNumbers.get(field) as number, count]);
      }
    }
    cells.sort((left, right) => left[0]! - right[0]! || left[1]! - right[1]!);
    return [instance, cells.flat()] as const;
  });
  return JSON.stringify({
    v: 1,
    repos: [...repoNumbers.keys()],
    fields: [...fieldNumbers.keys()],
    instances: Object.fromEntries(instances),
  });
}

/** `undefined`: not a record's text. */
export function parseRecord(text: string): CountsByInstance | undefined {
  const parsed = parseVersioned(text);
  if (parsed === undefined || !isObject(parsed['instances'])) return undefined;
  const { repos, fields } = parsed;
  if (!isNames(repos) || !isNames(fields)) return undefined;
  const all: CountsByInstance = new Map();
  for (const [instance, cells] of Object.entries(parsed['instances'])) {
    if (!Array.isArray(cells) || cells.length % 3 !== 0) return undefined;
    const counts: Counts = new Map();
    for (let at = 0; at < cells.length; at += 3) {
      const [repo, field, count] = [repos[Number(cells[at])], fields[Number(cells[at + 1])], cells[at + 2] as unknown];
      if (repo === undefined || field === undefined || !isCount(count)) return undefined;
      raise(counts, repo, field, count);
    }
    all.set(instance, counts);
  }
  return all;
}

function numbered(names: readonly string[]): Map<string, number> {
  return new Map([...new Set(names)].toSorted().map((name, number) => [name, number]));
}

function parseVersioned(text: string): Record<string, unknown> | undefined {
  if (text.length > MAX_RECORD_CHARACTERS) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) && value['v'] === 1 ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isNames(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((name) => typeof name === 'string' && isName(name));
}

function isName(text: string): boolean {
  return text.length > 0 && text.length <= MAX_NAME;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0;
}
