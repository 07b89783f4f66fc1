/**
 * Deletion in two phases: a swap of the manifest lists a name with its time, and its files are removed a day later if it is still
 * listed. So whoever reads a pack that was merged or let go has a day to finish, and whoever publishes a pack in the
 * very moment in which its files look like an orphan's unlists it.
 */
import type { Storage } from '../../storage/contract.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { editOrphans, GARBAGE_KEPT_MS } from '../catalog/edits.ts';
import type { Manifest } from '../catalog/manifest.ts';
import { removePacks } from '../copy/packs.ts';

/** Beyond so many the oldest that were merged go sooner: the manifest is one small document. Where files can be deleted under a
 * reader, it finds all objects in what the manifest names now. */
const MAX_LISTED = 1_000;

export interface GarbagePlace {
  readonly storage: Storage;
  readonly catalog: Catalog;
  /** `MirrorKeys.packFolder`. */
  readonly packFolder: string;
  readonly now: () => number;
}

/** Removes the files that are due. Returns how many packs went. */
export async function removeGarbage(place: GarbagePlace, signal?: AbortSignal): Promise<number> {
  const { catalog, storage, packFolder, now } = place;
  const manifest = await catalog.read(signal);
  const due = manifest === undefined ? [] : dueGarbage(manifest, now());
  if (due.length === 0) return 0;
  await removePacks(storage, packFolder, due);
  const names = new Set(due);
  await catalog.swap((current) => {
    if (current === undefined) return undefined;
    return { ...current, garbage: current.garbage.filter((one) => !names.has(one.name)) };
  }, signal);
  return due.length;
}

/** Lists those of the packs at rest that no manifest names: a killed process left them. */
export async function listOrphans(
  place: GarbagePlace,
  packsAtRest: readonly string[],
  signal?: AbortSignal,
): Promise<void> {
  const { catalog, now } = place;
  await catalog.swap((current) => editOrphans(current, packsAtRest, now()), signal);
}

function dueGarbage({ garbage }: Manifest, nowMs: number): readonly string[] {
  const old = garbage.filter((one) => nowMs - one.sinceMs >= GARBAGE_KEPT_MS);
  const merged = garbage.filter((one) => one.heldBy !== undefined && !old.includes(one));
  return [...old, ...merged.slice(0, Math.max(0, merged.length - MAX_LISTED))].map((one) => one.name);
}
