/**
 * One pass over what lies in the store: days that are over are gathered, old ones removed, and what is no count at all.
 *
 * A closed day becomes one record, which holds for each instance what its shards said. A record is never changed: its name is the hash of
 * its text, and a fuller one is written beside it. A key is deleted only if a record that was **read in this pass** says at least as much,
 * so never in the pass that wrote that record; and a record only in favour of one that says more. So whatever passes run at the
 * same time, die half-way or act on old reads: for each count there is a key that holds it, since the fullest record is never
 * deleted, and one that lacks something stands in favour of nothing that has it.
 *
 * Several instances may tidy at the same time; it costs them reads, never counts.
 */
import { isHotpackError } from '../../bytes/error.ts';
import { sha1HexOf } from '../../bytes/sha1.ts';
import type { Kv } from '../../storage/kv/contract.ts';
import { coversAll, mergeInto, type CountsByInstance } from './counts.ts';
import { addDays, dayOf, type Day } from './day.ts';
import { MAX_RECORD_CHARACTERS, writeRecord } from './encoding.ts';
import { COUNTS_PREFIX, parseCountKey, recordKey, type CountKind } from './key.ts';
import { readKeys } from './read.ts';
import { isClosed } from './windows.ts';

/** A key that names a later day than the day after tomorrow was not made by a counter. */
const AHEAD_DAYS = 2;

export interface TidyOptions {
  readonly now: () => number;
  /** How many days before today are kept. */
  readonly keptDays: number;
  readonly onEvent: (event: TidyEvent) => void;
}

export type TidyEvent =
  /** A key that is none of ours, or names an impossible day: it was removed. */
  | { readonly kind: 'malformed_key'; readonly key: string }
  /** A value that is no count: it stays until its day is too old. */
  | { readonly kind: 'malformed_value'; readonly key: string }
  /** More than one value can hold: the shards stay. */
  | { readonly kind: 'record_too_long'; readonly day: Day };

export async function tidyCounts(kv: Kv, options: TidyOptions, signal?: AbortSignal): Promise<void> {
  const nowMs = options.now();
  const today = dayOf(nowMs);
  const oldest = addDays(today, -options.keptDays);
  const latest = addDays(today, AHEAD_DAYS);
  const closed = new Map<string, ClosedDay>();
  const removed: string[] = [];
  for await (const key of kv.list(COUNTS_PREFIX, signal)) {
    const parsed = parseCountKey(key);
    if (parsed === undefined || parsed.day > latest) {
      options.onEvent({ kind: 'malformed_key', key });
      removed.push(key);
    } else if (parsed.day < oldest) {
      removed.push(key);
    } else if (isClosed(parsed.day, nowMs)) {
      const id = `${parsed.kind}:${parsed.day}`;
      let day = closed.get(id);
      if (day === undefined) closed.set(id, (day = { kind: parsed.kind, day: parsed.day, records: [], shards: [] }));
      (parsed.type === 'record' ? day.records : day.shards).push(key);
    }
  }
  for (const key of removed) await kv.delete(key, signal);
  for (const day of closed.values()) await gatherDay(kv, day, options, signal);
}

interface ClosedDay {
  readonly kind: CountKind;
  readonly day: Day;
  readonly records: string[];
  readonly shards: string[];
}

interface Found {
  readonly key: string;
  readonly counts: CountsByInstance;
}

async function gatherDay(
  kv: Kv,
  closed: ClosedDay,
  options: Pick<TidyOptions, 'onEvent'>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { kind, day } = closed;
  if (closed.shards.length === 0 && closed.records.length === 1) return;
  const records = await readFound(kv, closed.records, options, signal);
  const shards = await readFound(kv, closed.shards, options, signal);

  const all: CountsByInstance = new Map();
  for (const { counts } of [...records, ...shards]) for (const [instance, one] of counts) mergeInto(all, instance, one);
  if (!records.some((record) => coversAll(record.counts, all))) {
    const text = writeRecord(all);
    if (text.length > MAX_RECORD_CHARACTERS) {
      options.onEvent({ kind: 'record_too_long', day });
      return;
    }
    try {
      if (all.size > 0) await kv.set(recordKey(kind, day, sha1HexOf(new TextEncoder().encode(text))), text, signal);
    } catch (error) {
      if (!isHotpackError(error, 'limit_exceeded')) throw error;
      options.onEvent({ kind: 'record_too_long', day });
      return;
    }
  }
  for (const { key, counts } of shards) {
    if (records.some((record) => coversAll(record.counts, counts))) await kv.delete(key, signal);
  }
  for (const { key, counts } of records) {
    const isLess = records.some((other) => coversAll(other.counts, counts) && !coversAll(counts, other.counts));
    if (isLess) await kv.delete(key, signal);
  }
}

async function readFound(
  kv: Kv,
  keys: readonly string[],
  options: Pick<TidyOptions, 'onEvent'>,
  signal: AbortSignal | undefined,
): Promise<Found[]> {
  const found: Found[] = [];
  for (const { key, value } of await readKeys(kv, keys, signal)) {
    if (value.kind === 'found') found.push({ key, counts: value.counts });
    else if (value.kind === 'malformed') options.onEvent({ kind: 'malformed_value', key });
  }
  return found;
}
