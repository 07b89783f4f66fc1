/**
 * The keys of the histogram:
 *
 *     counts:<kind>:<day>:<instance>:<part>-<version>   a shard: some of one instance's counts
 *     counts:<kind>:<day>:record:<hash>                 a record: the shards of a closed day, under the SHA-1 of its text
 */
import { isDay, type Day } from './day.ts';

/** `clones` is read often, `traffic` (requests, bytes, shapes) is long. */
export type CountKind = 'clones' | 'traffic';

export type CountKey =
  | { readonly kind: CountKind; readonly day: Day; readonly type: 'shard'; readonly instance: string }
  | { readonly kind: CountKind; readonly day: Day; readonly type: 'record' };

export const COUNTS_PREFIX = 'counts:';

const SHARD = /^counts:(clones|traffic):(\d{4}-\d{2}-\d{2}):(i[0-9a-f]{8,40}):\d{1,9}-\d{1,9}$/;
const RECORD = /^counts:(clones|traffic):(\d{4}-\d{2}-\d{2}):record:[0-9a-f]{40}$/;

export function kindPrefix(kind: CountKind): string {
  return `${COUNTS_PREFIX}${kind}:`;
}

export function dayPrefix(kind: CountKind, day: Day): string {
  return `${kindPrefix(kind)}${day}:`;
}

export function shardKey(
  kind: CountKind,
  day: Day,
  shard: { readonly instance: string; readonly part: number; readonly version: number },
): string {
  return `${dayPrefix(kind, day)}${shard.instance}:${shard.part}-${shard.version}`;
}

export function recordKey(kind: CountKind, day: Day, hash: string): string {
  return `${dayPrefix(kind, day)}record:${hash}`;
}

/** `undefined`: no key of the histogram. */
export function parseCountKey(key: string): CountKey | undefined {
  const shard = SHARD.exec(key);
  const [, kind, day, instance] = shard ?? RECORD.exec(key) ?? [];
  if (kind === undefined || day === undefined || !isDay(day)) return undefined;
  if (instance === undefined) return { kind: kind as CountKind, day, type: 'record' };
  return { kind: kind as CountKind, day, type: 'shard', instance };
}
