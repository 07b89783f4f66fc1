/**
 * When an answer was last used, for those who evict by the store alone: a small object that is written at most hourly by each
 * instance; when it last changed is when that was. It lies apart from the answers, so that there is nothing beside them.
 */
import type { Storage } from '../../storage/contract.ts';

export const USED_FOLDER = 'jobs/used/';

/** `key`: of the answer. */
export function usedKey(key: string): string {
  return `${USED_FOLDER}${key}`;
}

export async function noteUsed(storage: Pick<Storage, 'put'>, key: string): Promise<void> {
  await storage.put(usedKey(key), new Uint8Array(1));
}
