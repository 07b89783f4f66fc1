/**
 * Reads counts and nothing else: a list, then each record and shard that it shows, once. What is asked for and is not
 * there stays so.
 *
 * A key that was listed and is gone was tidied into a record, written long before, that this list did not show yet: then
 * the day is listed again and what is new is read too. All that was read counts; merging makes nothing double.
 */
import { ABSENT, type Absent } from '../../storage/contract.ts';
import type { Kv, KvValue } from '../../storage/kv/contract.ts';
import { mergeInto, type CountsByInstance } from './counts.ts';
import { addDays, type Day } from './day.ts';
import { parseRecord, parseShard } from './encoding.ts';
import { dayPrefix, kindPrefix, parseCountKey, type CountKind } from './key.ts';

/** Shards of 48 KiB; Workers count one call. */
const READS_AT_ONCE = 100;
const MAX_LISTS = 4;

export interface DayQuestion {
  readonly kind: CountKind;
  /** Both included. */
  readonly from: Day;
  readonly to: Day;
  /** Told of a value that is none of ours. */
  readonly onMalformed: (key: string) => void;
}

export interface DayCounts {
  readonly day: Day;
  readonly counts: CountsByInstance;
}

/** Day by day, in order, so that no more than one is in memory. Days of which nothing is known come with no counts. */
export async function* readDays(kv: Kv, question: DayQuestion, signal?: AbortSignal): AsyncGenerator<DayCounts> {
  const { kind, from, to } = question;
  const keysOfDay = new Map<Day, string[]>();
  for await (const key of kv.list(kindPrefix(kind), signal)) {
    const parsed = parseCountKey(key);
    if (parsed === undefined || parsed.day < from || parsed.day > to) continue;
    const keys = keysOfDay.get(parsed.day);
    if (keys === undefined) keysOfDay.set(parsed.day, [key]);
    else keys.push(key);
  }
  for (let day = from; day <= to; day = addDays(day, 1)) {
    // oxlint-disable-next-line no-await-in-loop -- a day at a time bounds the memory
    const counts = await readDay(kv, { ...question, day, keys: keysOfDay.get(day) ?? [] }, signal);
    yield { day, counts };
  }
}

async function readDay(
  kv: Kv,
  question: Pick<DayQuestion, 'kind' | 'onMalformed'> & { readonly day: Day; readonly keys: readonly string[] },
  signal: AbortSignal | undefined,
): Promise<CountsByInstance> {
  const counts: CountsByInstance = new Map();
  const seen = new Set<string>();
  let keys = question.keys;
  for (let lists = 1; keys.length > 0; lists++) {
    let isComplete = true;
    for (const { key, value } of await readKeys(kv, keys, signal)) {
      seen.add(key);
      if (value.kind === 'absent') isComplete = false;
      else if (value.kind === 'malformed') question.onMalformed(key);
      else takeIn(counts, value.counts);
    }
    if (isComplete || lists === MAX_LISTS) break;
    const listed: string[] = [];
    for await (const key of kv.list(dayPrefix(question.kind, question.day), signal)) {
      if (!seen.has(key) && parseCountKey(key) !== undefined) listed.push(key);
    }
    keys = listed;
  }
  return counts;
}

/** What was just parsed is nobody else's: the first of an instance is taken as it is. */
function takeIn(counts: CountsByInstance, parsed: CountsByInstance): void {
  for (const [instance, one] of parsed) {
    if (counts.has(instance)) mergeInto(counts, instance, one);
    else counts.set(instance, one);
  }
}

export type CountValue =
  | { readonly kind: 'found'; readonly counts: CountsByInstance }
  | { readonly kind: 'absent' }
  | { readonly kind: 'malformed' };

/** Every key must be one that `parseCountKey` knows. Shards are read many at once, records, which are long, one by one. */
export async function readKeys(
  kv: Kv,
  keys: readonly string[],
  signal?: AbortSignal,
): Promise<{ readonly key: string; readonly value: CountValue }[]> {
  const values: { readonly key: string; readonly value: CountValue }[] = [];
  const isRecord = (key: string): boolean => parseCountKey(key)?.type === 'record';
  for (const key of keys.filter(isRecord)) {
    // oxlint-disable-next-line no-await-in-loop -- one at a time bounds the memory
    values.push({ key, value: parseValue(key, await kv.get(key, signal)) });
  }
  const shards = keys.filter((key) => !isRecord(key));
  for (let at = 0; at < shards.length; at += READS_AT_ONCE) {
    const some = shards.slice(at, at + READS_AT_ONCE);
    // oxlint-disable-next-line no-await-in-loop -- no more than so many at once
    const found = await kv.getMany(some, signal);
    for (const [n, key] of some.entries()) values.push({ key, value: parseValue(key, found[n] ?? ABSENT) });
  }
  return values;
}

function parseValue(key: string, value: KvValue | Absent): CountValue {
  if (value.kind === 'absent') return value;
  const parsed = parseCountKey(key);
  const counts = parsed?.type === 'record' ? parseRecord(value.text) : shardCounts(parsed?.instance, value.text);
  return counts === undefined ? { kind: 'malformed' } : { kind: 'found', counts };
}

function shardCounts(instance: string | undefined, text: string): CountsByInstance | undefined {
  const counts = instance === undefined ? undefined : parseShard(text);
  return counts === undefined ? undefined : new Map([[instance as string, counts]]);
}
