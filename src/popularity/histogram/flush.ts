/**
 * Writes an instance's own counts. Each part lies under a key that no other instance ever writes, whole and grown each time:
 *
 * - A write that failed may take place later, over a younger one under the same key. So after the first success
 *   that follows a failure, the part is written once more under the next version of its key, and stays there.
 * - Once the day may not be rewritten any more (windows.ts), each write goes under a new version: whoever tidies the day deletes only
 *   what he has seen, and that is then all there ever is under that key. A write that ends behind that hour is repeated so.
 *
 * Readers take the maximum over all versions, so none of this counts anything twice.
 */
import type { Kv } from '../../storage/kv/contract.ts';
import { writeShard } from './encoding.ts';
import { shardKey } from './key.ts';
import type { OwnCounts, Part } from './own-counts.ts';
import { mayRewrite } from './windows.ts';

export interface FlushDeps {
  readonly kv: Kv;
  readonly own: OwnCounts;
  readonly instance: string;
  readonly now: () => number;
}

/** Writes every part that changed. Rejects with the first failure; what was not written yet waits for the next call. One call at a time. */
export async function flushCounts(deps: FlushDeps, signal?: AbortSignal): Promise<void> {
  for (const part of deps.own.dirtyParts()) await flushPart(deps, part, signal);
}

async function flushPart({ kv, own, instance, now }: FlushDeps, part: Part, signal?: AbortSignal): Promise<void> {
  const { kind, day, index } = part;
  while (true) {
    const wasOpen = mayRewrite(day, now());
    if (part.isUsed && !wasOpen) nextVersion(part);
    const { changes } = part;
    const key = shardKey(kind, day, { instance, part: index, version: part.version });
    part.isUsed = true;
    try {
      // oxlint-disable-next-line no-await-in-loop -- what follows depends on how this went
      await kv.set(key, writeShard(own.countsOfPart(part)), signal);
    } catch (error) {
      part.isUncertain = true;
      throw error;
    }
    const endedLate = wasOpen && !mayRewrite(day, now());
    if (!part.isUncertain && !endedLate) {
      part.flushedChanges = changes;
      return;
    }
    nextVersion(part);
  }
}

function nextVersion(part: Part): void {
  part.version++;
  part.isUsed = false;
  part.isUncertain = false;
}
