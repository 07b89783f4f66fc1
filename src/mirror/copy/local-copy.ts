/**
 * What is here of one repository: manifest, packs and held refs, opened when first asked for and kept open while it is
 * used. The only file that writes the git-visible side of a mirror.
 *
 * Memory: idx tables (about 40 bytes an object, which threads share) and `cacheBytes` while open; nothing once closed.
 */
import { raceSignal, throwIfAborted } from '../../bytes/abort.ts';
import { isHotpackError } from '../../bytes/error.ts';
import type { Oid } from '../../bytes/oid.ts';
import { NO_REFS, type RefsSnapshot } from '../../protocol/refs-snapshot.ts';
import type { Storage } from '../../storage/contract.ts';
import { Catalog } from '../catalog/catalog.ts';
import type { Merge, Publication } from '../catalog/edits.ts';
import { editMerge, editPublication, editReset } from '../catalog/edits.ts';
import { editRepack, madeBy, type Repack } from '../catalog/edit-repack.ts';
import { ofBranches, type Manifest, type PackRecord, type Visibility } from '../catalog/manifest.ts';
import type { MirrorKeys } from '../keys.ts';
import { mirrorKeys } from '../keys.ts';
import type { PackThreads } from '../tasks.ts';
import { OWN_CACHE_SHARE, workOn } from './open-work.ts';
import { openPacks, removePacks } from './packs.ts';
import type { PackTables } from './pack-tables.ts';
import { evictMirror } from '../maintenance/space/evict-mirror.ts';
import { removeGarbage } from '../maintenance/garbage.ts';
import { readHeldFiles, writeHeldFiles, writeLayout } from '../refs/git-files.ts';
import { heldOf } from '../refs/held-refs.ts';
import { advertisedOids } from '../refs/tips.ts';
import { createCopyMemory, type CopyMemory } from '../repository-memory.ts';
import type { MirrorSnapshot } from './snapshot.ts';
import { SharedPacks } from './snapshot.ts';

/** What has been open for so long is held against the store before it is used. */
const READ_AGAIN_MS = 10 * 60 * 1000;

export interface LocalCopyOptions {
  readonly storage: Storage;
  /** `Repository.key`. */
  readonly repositoryKey: string;
  /** In all threads together. */
  readonly cacheBytes: number;
  /** Absent: what walks is done in place. */
  readonly threads: PackThreads | undefined;
  readonly now: () => number;
  /** The mirror's files do not fit together any more: it is emptied, and filled again when next asked for. */
  readonly onDamage: (error: unknown) => void;
  /** Merges packs, since there are too many to publish another. Rejects where it cannot. */
  readonly makeRoom: (signal: AbortSignal) => Promise<void>;
  /** Told where packs came or went, with the packs that are there now. */
  readonly onStored: (packs: Manifest['packs']) => void;
  /** Told where what was here belongs to a repository no more. */
  readonly onEmptied?: (() => void) | undefined;
  /** Default: its own. */
  readonly memory?: CopyMemory;
  /** Tables of packs that others opened before. */
  readonly tables?: PackTables | undefined;
}

interface Opened {
  manifest: Manifest;
  held: RefsSnapshot;
  /** When the manifest was read, or last looked at again. */
  readAtMs: number;
  readonly packs: SharedPacks;
}

export class LocalCopy {
  readonly keys: MirrorKeys;
  readonly #options: LocalCopyOptions;
  readonly #catalog: Catalog;
  #opened: Promise<Opened | undefined> | undefined;
  /** What is changed is changed one after the other: each change starts from what the last one left open. */
  #lastChange: Promise<unknown> = Promise.resolve();
  readonly #known: CopyMemory;

  constructor(options: LocalCopyOptions) {
    this.#options = options;
    this.#known = options.memory ?? createCopyMemory();
    this.keys = mirrorKeys(options.repositoryKey);
    this.#catalog = new Catalog(options.storage, this.keys.manifest);
  }

  /** When this process last replaced the manifest by a publication. */
  get publishedAtMs(): number {
    return this.#known.publishedAtMs;
  }

  /** The mirror as it is now, or undefined where there is none with objects in it. */
  async snapshot(signal?: AbortSignal): Promise<MirrorSnapshot | undefined> {
    while (true) {
      throwIfAborted(signal);
      // Not the caller's signal: others wait for the same opening.
      const opening = (this.#opened ??= this.#keepOpening(this.#open()));
      // oxlint-disable-next-line no-await-in-loop -- packs that closed while we waited were replaced: look again
      const opened = await raceSignal(opening, signal);
      if (opened === undefined) {
        // Another process may fill it: the next one who asks looks anew.
        if (this.#opened === opening) this.#opened = undefined;
        return undefined;
      }
      if (this.#options.now() - opened.readAtMs >= READ_AGAIN_MS) {
        // Others may have merged what is open here, and its files go a day later.
        opened.readAtMs = this.#options.now();
        // oxlint-disable-next-line no-await-in-loop
        await raceSignal(
          this.refresh().catch(() => undefined),
          signal,
        );
        continue;
      }
      if (!opened.packs.isClosed) return opened.packs.snapshot(opened.manifest, opened.held);
      if (this.#opened === opening) this.#opened = undefined;
    }
  }

  /**
   * Adds a pack to the manifest that is current when the swap succeeds. `stale`: the manifest that won lacks a pack that
   * the new one was built on; nothing was published. Whatever is not published is gone. Waits where packs must be merged
   * first.
   */
  async publish(publication: Publication, signal: AbortSignal): Promise<'published' | 'stale'> {
    for (;;) {
      // oxlint-disable-next-line no-await-in-loop -- room that was made may be taken by somebody else
      const outcome = await this.#inTurn(() => this.#publishNow(publication));
      if (outcome !== 'crowded') return outcome;
      try {
        // oxlint-disable-next-line no-await-in-loop
        await this.#options.makeRoom(signal);
      } catch (error) {
        await this.#drop(publication).catch(() => undefined);
        throw error;
      }
    }
  }

  /** Puts a merged pack, which is at rest, in the place of its sources. `lost`: they are not all there any more, and it is gone. */
  replace(merge: Merge): Promise<'replaced' | 'lost'> {
    return this.#inTurn(async () => {
      const manifest = await this.#catalog.swap((current) => editMerge(current, merge, this.#options.now()));
      if (manifest === undefined) {
        await removePacks(this.#options.storage, this.keys.packFolder, [merge.merged.name]);
        return 'lost';
      }
      this.#options.onStored(manifest.packs);
      if (this.#opened !== undefined) await this.#reopen(manifest);
      return 'replaced';
    });
  }

  /**
   * Puts packs at rest, which hold what is needed of the mirror's packs, in their place. `lost`: somebody else has changed these, or a
   * ref is held by now whose object would go; then the new packs are gone. Nothing is done yet where packs have come meanwhile
   * that were not checked: these are given.
   */
  repack(repack: Repack): Promise<'repacked' | 'lost' | readonly PackRecord[]> {
    return this.#inTurn(async () => {
      const { storage, now, onStored } = this.#options;
      let refusal: Exclude<ReturnType<typeof editRepack>, Manifest> = 'lost';
      const edit = (current: Manifest | undefined): Manifest | undefined => {
        const edited = editRepack(current, repack, now());
        if (typeof edited === 'object' && 'packs' in edited) return edited;
        refusal = edited;
        return undefined;
      };
      const present = await this.#opened?.catch(() => undefined);
      const planned = edit(await this.#catalog.read());
      const opened = planned && (await this.#openAll(planned));
      const isHere = (oid: Oid): boolean => opened === undefined || opened.packs.store.find(oid) >= 0;
      const holdsAll = present === undefined || [...advertisedOids(present.held)].every(isHere);
      const manifest = holdsAll && opened !== undefined ? await this.#catalog.swap(edit) : undefined;
      if (opened === undefined || manifest === undefined) {
        opened?.packs.release();
        if (refusal === 'lost') await removePacks(storage, this.keys.packFolder, madeBy(repack));
        return refusal;
      }
      onStored(manifest.packs);
      opened.manifest = manifest;
      this.#opened = Promise.resolve(opened);
      present?.packs.release();
      return 'repacked';
    });
  }

  /** Looks whether another process has changed what is open here. True where it has. */
  refresh(): Promise<boolean> {
    return this.#inTurn(async () => {
      const present = await this.#opened?.catch(() => undefined);
      const manifest = await this.#catalog.read();
      if (present === undefined || manifest === undefined || isEqualPacks(present.manifest, manifest)) return false;
      if (manifest.packs.length === 0) await this.#letGo();
      else await this.#reopen(manifest);
      return true;
    });
  }

  /** The manifest as the store has it now. */
  readManifest(signal?: AbortSignal): Promise<Manifest | undefined> {
    return this.#catalog.read(signal);
  }

  /** Takes note of who may read. Returns `reset` where the mirror was another one's and starts empty. */
  async noteVisibility(seen: 'public' | 'private'): Promise<'same' | 'reset'> {
    // A mirror that is not open is looked at when it is opened.
    this.#known.seen = seen;
    const opened = await this.#opened?.catch(() => undefined);
    const before = opened?.manifest.visibility;
    if (before === undefined || before === seen) return 'same';
    return this.#inTurn(async () => {
      const current = await this.#opened;
      if (current === undefined || current.manifest.visibility === seen) return 'same';
      if (current.manifest.visibility !== 'unknown') {
        await this.#empty(seen);
        await this.#letGo();
        return 'reset';
      }
      const manifest = await this.#catalog.swap((one) => one && { ...one, visibility: seen });
      if (manifest !== undefined) current.manifest = { ...current.manifest, visibility: seen };
      return 'same';
    });
  }

  /** Writes `packed-refs` and `HEAD`. Refs whose object was let go meanwhile are left out; every other one's closure must be here. */
  writeHeld(refs: RefsSnapshot): Promise<void> {
    return this.#inTurn(async () => {
      const opened = await this.#opened;
      const held = opened === undefined ? refs : heldOf(refs, (oid) => opened.packs.store.find(oid) >= 0);
      if (opened !== undefined) opened.held = held;
      await writeHeldFiles(this.#options.storage, this.keys, held);
    });
  }

  /** Starts empty: what is here belongs to a repository that is another one now. Files go a day later. */
  reset(visibility: Visibility): Promise<void> {
    return this.#inTurn(async () => {
      await this.#empty(visibility);
      await this.#letGo();
    });
  }

  /** Starts empty: its packs have turned out to be damaged. */
  discard(error: unknown): Promise<void> {
    return this.#inTurn(async () => {
      this.#options.onDamage(error);
      const manifest = await this.#catalog.read();
      if (manifest !== undefined) await this.#empty(manifest.visibility);
      await this.#letGo();
    });
  }

  /** Removes the files of packs that were let go long enough ago. */
  collectGarbage(): Promise<void> {
    return this.#inTurn(async () => {
      const { storage, now } = this.#options;
      await removeGarbage({ storage, now, catalog: this.#catalog, packFolder: this.keys.packFolder });
    });
  }

  /** Removes all of it from the store, unless somebody here reads it. True where it did. */
  evict(): Promise<boolean> {
    return this.#inTurn(async () => {
      if (!(await this.isIdle())) return false;
      await this.#letGo();
      const { storage, now } = this.#options;
      await evictMirror(storage, this.keys, { now });
      // Who looked while it went sees what is left.
      await this.#letGo();
      return true;
    });
  }

  /** Starts empty; answers made of it stay right. `unread` resolves when nobody here reads what was here: then it may be evicted. */
  giveUp(): Promise<{ readonly unread: Promise<void> }> {
    return this.#inTurn(async () => {
      const opened = await this.#opened?.catch(() => undefined);
      await this.#writeEmpty((current) => editReset(current, current.visibility, this.#options.now()));
      await this.#letGo();
      return { unread: opened?.packs.unread ?? Promise.resolve() };
    });
  }

  /** True where nobody reads it: it may be closed to save memory. */
  async isIdle(): Promise<boolean> {
    const opened = await this.#opened?.catch(() => undefined);
    return opened === undefined || opened.packs.isIdle;
  }

  /** Lets go of the packs; readers keep theirs. The next `snapshot` looks at the store anew. */
  close(): Promise<void> {
    return this.#inTurn(() => this.#letGo());
  }

  #inTurn<T>(change: () => Promise<T>): Promise<T> {
    const turn = this.#lastChange.then(change);
    this.#lastChange = turn.catch(() => undefined);
    return turn;
  }

  async #letGo(): Promise<void> {
    const opening = this.#opened;
    this.#opened = undefined;
    const opened = await opening?.catch(() => undefined);
    opened?.packs.release();
  }

  async #publishNow(publication: Publication): Promise<'published' | 'stale' | 'crowded'> {
    // First: who is killed right after the swap leaves a mirror that git takes for a repository.
    await writeLayout(this.#options.storage, this.keys);
    const outcome = await this.#swapIn(publication);
    if (outcome === 'crowded') return outcome;
    if (outcome === 'stale') {
      // Another process has changed it: what is open here is not what is there.
      await this.#letGo();
      await this.#drop(publication);
      return outcome;
    }
    this.#known.publishedAtMs = this.#options.now();
    this.#options.onStored(outcome.packs);
    if (outcome.packs.length > 0) await this.#reopen(outcome);
    return 'published';
  }

  async #swapIn(publication: Publication): Promise<Manifest | 'stale' | 'crowded'> {
    let refusal: 'stale' | 'crowded' = 'stale';
    try {
      const swapped = await this.#catalog.swap((current) => {
        const edited = editPublication(current, publication, this.#options.now());
        if (typeof edited !== 'string') return edited;
        refusal = edited;
        return undefined;
      });
      return swapped ?? refusal;
    } catch (error) {
      // A write that failed may have come through after all: only what is surely not named is removed.
      const now = await this.#catalog.read().catch(() => 'unknown' as const);
      const { pack } = publication;
      if (now !== 'unknown' && !now?.packs.some((one) => one.name === pack?.name)) {
        await this.#drop(publication).catch(() => undefined);
      }
      throw error;
    }
  }

  /** Removes the files of what was not published. */
  async #drop({ pack }: Publication): Promise<void> {
    if (pack !== undefined) await removePacks(this.#options.storage, this.keys.packFolder, [pack.name]);
  }

  async #open(): Promise<Opened | undefined> {
    const manifest = await this.#catalog.read();
    if (manifest === undefined || manifest.packs.length === 0) return undefined;
    if (
      this.#known.seen !== undefined &&
      manifest.visibility !== 'unknown' &&
      manifest.visibility !== this.#known.seen
    ) {
      await this.#empty(this.#known.seen);
      return undefined;
    }
    try {
      return await this.#openAll(manifest);
    } catch (error) {
      if (!isHotpackError(error, 'malformed_pack') && !isHotpackError(error, 'missing_object')) throw error;
      // Packs of a manifest that was replaced meanwhile may be gone: that is no damage.
      const now = await this.#catalog.read();
      if (now === undefined || !isEqualPacks(now, manifest)) return this.#open();
      this.#options.onDamage(error);
      await this.#empty(manifest.visibility);
      return undefined;
    }
  }

  async #empty(visibility: Visibility): Promise<void> {
    const { now, onEmptied } = this.#options;
    onEmptied?.();
    await this.#writeEmpty((current) => editReset(current, visibility, now()));
  }

  async #writeEmpty(edit: (current: Manifest) => Manifest): Promise<void> {
    const { storage } = this.#options;
    await this.#catalog.swap((current) => current && edit(current));
    await writeHeldFiles(storage, this.keys, NO_REFS);
  }

  /** Opens what `manifest` names in place of what is open; readers of that keep it. */
  async #reopen(manifest: Manifest): Promise<void> {
    const before = this.#opened;
    const present = await before?.catch(() => undefined);
    if (present !== undefined && this.#opened === before && isEqualPacks(present.manifest, manifest)) {
      present.manifest = manifest;
      return;
    }
    const after = this.#keepOpening(this.#openAll(manifest));
    this.#opened = after;
    present?.packs.release();
    await after;
  }

  /** An opening that failed is not kept: the next one who asks tries again. */
  #keepOpening(opening: Promise<Opened | undefined>): Promise<Opened | undefined> {
    const kept: Promise<Opened | undefined> = opening.catch((error: unknown) => {
      if (this.#opened === kept) this.#opened = undefined;
      throw error;
    });
    return kept;
  }

  async #openAll(manifest: Manifest): Promise<Opened> {
    const { storage, threads, tables, now } = this.#options;
    const { packFolder } = this.keys;
    const names = manifest.packs.map((pack) => pack.name);
    const closedPacks = ofBranches(manifest.packs).length;
    const sharesTables = threads !== undefined;
    const ownBytes = this.#options.cacheBytes * (sharesTables ? OWN_CACHE_SHARE : 1);
    const packs = { folder: packFolder, names, closedPacks, cacheBytes: ownBytes, tables, sharesTables };
    const open = await openPacks(storage, packs);
    try {
      const held = heldOf(await readHeldFiles(storage, this.keys), (oid) => open.store.find(oid) >= 0);
      const cacheBytes = this.#options.cacheBytes - ownBytes;
      const work = workOn(storage, open, { threads, packFolder, closedPacks, cacheBytes });
      return { manifest, held, readAtMs: now(), packs: new SharedPacks(open, work) };
    } catch (error) {
      await open.close();
      throw error;
    }
  }
}

function isEqualPacks(left: Manifest, right: Manifest): boolean {
  return left.packs.length === right.packs.length && left.packs.every((pack, i) => pack.name === right.packs[i]?.name);
}

/** Which of `oids` the snapshot lacks. */
export function missingOf(snapshot: MirrorSnapshot | undefined, oids: Iterable<Oid>): Oid[] {
  return [...new Set(oids)].filter((oid) => snapshot === undefined || snapshot.store.find(oid) < 0);
}
