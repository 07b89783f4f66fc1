/**
 * Keeps stored answers within `maxBytes` where no process lives on that knows them: now and then one instance lists them, and
 * where they take more, those go that were cheap for their size, the longer ago they were used the sooner. What they cost
 * stands in their headers, so that only of those used longest ago it is read; beyond those, last use alone decides.
 *
 * Memory: an entry for each answer.
 */
import { throwIfAborted } from '../../bytes/abort.ts';
import type { Storage } from '../../storage/contract.ts';
import { listObjects } from '../../storage/listing.ts';
import { FOLDER } from '../stored/stored-answers.ts';
import { OpenAnswer } from '../stored/open-answer.ts';
import { USED_FOLDER, usedKey } from './used.ts';

export interface EvictAnswersDeps {
  readonly storage: Storage;
  readonly maxBytes: number;
  readonly now: () => number;
}

interface Listed {
  readonly key: string;
  readonly bytes: number;
  readonly usedAtMs: number;
}

/** Of the limit: so that it is not reached again at once. */
const DOWN_TO = 0.95;
/** Each takes two requests, of which an event has so many. */
const MAX_OPENED = 200;
const OPENED_AT_ONCE = 6;
/** After which an answer that was not used is worth half as much. */
const HALF_LIFE_MS = 86_400_000;

/** Resolves with how many went. Rejects where the store fails, and with `aborted`. */
export async function evictAnswers(deps: EvictAnswersDeps, signal: AbortSignal): Promise<number> {
  const { storage, maxBytes, now } = deps;
  const stored: Listed[] = [];
  for await (const { key, bytes, modifiedAtMs } of listObjects(storage, FOLDER, signal)) {
    stored.push({ key, bytes, usedAtMs: modifiedAtMs });
  }
  let bytes = stored.reduce((sum, one) => sum + one.bytes, 0);
  if (bytes <= maxBytes) return 0;

  const keys = new Set(stored.map((one) => one.key));
  const notedAtMs = new Map<string, number>();
  const leftOver: string[] = [];
  for await (const { key, modifiedAtMs } of listObjects(storage, USED_FOLDER, signal)) {
    const of = key.slice(USED_FOLDER.length);
    if (keys.has(of)) notedAtMs.set(of, modifiedAtMs);
    else leftOver.push(key);
  }
  const byUse = stored
    .map((one) => ({ ...one, usedAtMs: Math.max(one.usedAtMs, notedAtMs.get(one.key) ?? 0) }))
    .toSorted((left, right) => left.usedAtMs - right.usedAtMs);
  const worth = await worthOf(storage, byUse.slice(0, MAX_OPENED), { nowMs: now(), signal });
  const order = [
    ...byUse.slice(0, MAX_OPENED).toSorted((left, right) => (worth.get(left) ?? 0) - (worth.get(right) ?? 0)),
    ...byUse.slice(MAX_OPENED),
  ];
  const gone: string[] = [];
  for (const one of order) {
    if (bytes <= maxBytes * DOWN_TO) break;
    bytes -= one.bytes;
    gone.push(one.key);
  }
  await storage.delete([...gone, ...gone.flatMap((key) => (notedAtMs.has(key) ? [usedKey(key)] : []))], signal);
  if (leftOver.length > 0) await storage.delete(leftOver, signal);
  return gone.length;
}

/** What each cost to make for each of its bytes, less the longer it was not used; nothing where it cannot be read. */
async function worthOf(
  storage: Storage,
  answers: readonly Listed[],
  { nowMs, signal }: { readonly nowMs: number; readonly signal: AbortSignal },
): Promise<ReadonlyMap<Listed, number>> {
  const worth = new Map<Listed, number>();
  const queue = answers.values();
  const readers = Array.from({ length: OPENED_AT_ONCE }, async () => {
    for (const one of queue) {
      throwIfAborted(signal);
      // oxlint-disable-next-line no-await-in-loop -- each reader opens one at a time
      const opened = await OpenAnswer.open(storage, one.key).catch(() => undefined);
      opened?.letGo();
      const ageMs = Math.max(0, nowMs - one.usedAtMs);
      worth.set(one, ((opened?.header.costUs ?? 0) / one.bytes) * 2 ** (-ageMs / HALF_LIFE_MS));
    }
  });
  await Promise.all(readers);
  return worth;
}
