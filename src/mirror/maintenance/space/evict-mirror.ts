/**
 * Removes a mirror from the store. First a swap empties it, so that nobody begins to read it; then git's `HEAD` goes, so that no
 * moment shows a repository without its objects; then its packs, at once: who read them in another process is cut off where
 * the store cannot keep a deleted file readable. Killed half-way it leaves packs that are listed as garbage.
 */
import type { Storage } from '../../../storage/contract.ts';
import { Catalog } from '../../catalog/catalog.ts';
import { editReset } from '../../catalog/edits.ts';
import type { MirrorKeys } from '../../keys.ts';
import { removePacks } from '../../copy/packs.ts';

export async function evictMirror(
  storage: Storage,
  keys: MirrorKeys,
  options: { readonly now: () => number; readonly signal?: AbortSignal | undefined },
): Promise<void> {
  const { now, signal } = options;
  const catalog = new Catalog(storage, keys.manifest);
  const emptied = await catalog.swap((current) => current && editReset(current, current.visibility, now()), signal);
  await storage.delete([keys.head], signal);
  await storage.delete([keys.packedRefs, keys.advertised, keys.config, keys.refsFolder, keys.used], signal);
  const names = (emptied?.garbage ?? []).map((one) => one.name);
  await removePacks(storage, keys.packFolder, names);
  // What is published in this very moment loses its manifest: then its packs are orphans, and it is filled again.
  if ((await catalog.read(signal))?.packs.length === 0) await storage.delete([keys.manifest], signal);
}
