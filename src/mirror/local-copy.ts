/**
 * What is here of one repository: manifest, packs and held refs, opened when first asked for and kept open while it is
 * used. The only file that writes the git-visible side of a mirror.
 *
 * Memory: idx tables (about 40 bytes an object) and `cacheBytes` while open; nothing once closed.
 */
import { throwIfAborted } from '../bytes/abort.ts';
import { isHotpackError } from '../bytes/error.ts';
import type { Oid } from '../bytes/oid.ts';
import type { RefsSnapshot } from '../protocol/refs-snapshot.ts';
import type { Storage } from '../storage/contract.ts';
import { Catalog } from './catalog/catalog.ts';
import type { Manifest, PackRecord, Stray, Visibility } from './catalog/manifest.ts';
import { emptyManifest } from './catalog/manifest.ts';
import type { MirrorKeys } from './keys.ts';
import { mirrorKeys, packKeys } from './keys.ts';
import { openPacks } from './packs.ts';
import { parseHead, parsePackedRefs, writeHead, writePackedRefs } from './refs/held-refs.ts';
import type { MirrorSnapshot } from './snapshot.ts';
import { SharedPacks } from './snapshot.ts';

const MAX_REFS_BYTES = 512 * 1024 * 1024;
/** How long a reader may work on packs that no manifest names any more. */
const GARBAGE_KEPT_MS = 24 * 60 * 60 * 1000;
const CONFIG = '[core]\n\trepositoryformatversion = 0\n\tfilemode = false\n\tbare = true\n';

export interface LocalCopyOptions {
  readonly storage: Storage;
  /** `Repository.key`. */
  readonly repositoryKey: string;
  readonly cacheBytes: number;
  readonly now: () => number;
  /** The mirror's files do not fit together any more: it is emptied, and filled again when next asked for. */
  readonly onDamage: (error: unknown) => void;
}

export interface Publication {
  /** The new pack, already at rest; absent where only refs or strays change. */
  readonly pack?: PackRecord;
  /** Packs that the new one's connectivity was checked against. */
  readonly builtOn: readonly string[];
  readonly strays: (current: readonly Stray[]) => readonly Stray[];
  readonly visibility: Visibility;
}

interface Opened {
  readonly manifest: Manifest;
  readonly held: RefsSnapshot;
  readonly packs: SharedPacks;
}

export class LocalCopy {
  readonly keys: MirrorKeys;
  readonly #options: LocalCopyOptions;
  readonly #catalog: Catalog;
  #opened: Promise<Opened | undefined> | undefined;

  constructor(options: LocalCopyOptions) {
    this.#options = options;
    this.keys = mirrorKeys(options.repositoryKey);
    this.#catalog = new Catalog(options.storage, this.keys.manifest);
  }

  /** The mirror as it is now, or undefined where there is none with objects in it. */
  async snapshot(signal?: AbortSignal): Promise<MirrorSnapshot | undefined> {
    while (true) {
      throwIfAborted(signal);
      // Not the caller's signal: others wait for the same opening.
      this.#opened ??= this.#open().catch((error: unknown) => {
        this.#opened = undefined;
        throw error;
      });
      // oxlint-disable-next-line no-await-in-loop -- packs that closed while we waited were replaced: look again
      const opened = await this.#opened;
      if (opened === undefined) return undefined;
      if (!opened.packs.isClosed) return opened.packs.snapshot(opened.manifest, opened.held);
    }
  }

  /**
   * Adds a pack to the manifest that is current when the swap succeeds. `stale`: the manifest that won lacks a pack that
   * the new one was built on; nothing was published.
   */
  async publish(publication: Publication): Promise<'published' | 'stale'> {
    const { now, storage } = this.#options;
    const nowMs = now();
    const manifest = await this.#catalog.swap((current) => {
      const base = current ?? emptyManifest(publication.visibility, nowMs);
      const present = new Set(base.packs.map((pack) => pack.name));
      if (publication.builtOn.some((name) => !present.has(name))) return undefined;
      const { pack } = publication;
      return {
        ...base,
        packs: pack === undefined ? base.packs : [...base.packs, pack],
        strays: publication.strays(base.strays),
        updatedAtMs: nowMs,
      };
    });
    if (manifest === undefined) return 'stale';
    await this.#writeLayout(storage);
    await this.#reopen(manifest, await this.#heldNow());
    return 'published';
  }

  /** Takes note of who may read. Returns `reset` where the mirror was another one's and starts empty. */
  async noteVisibility(seen: 'public' | 'private'): Promise<'same' | 'reset'> {
    const opened = await this.#opened;
    const before = opened?.manifest.visibility;
    if (opened === undefined || before === undefined || before === seen) return 'same';
    if (before !== 'unknown') {
      await this.reset(seen);
      return 'reset';
    }
    const manifest = await this.#catalog.swap((current) => current && { ...current, visibility: seen });
    if (manifest !== undefined) this.#opened = Promise.resolve({ ...opened, manifest });
    return 'same';
  }

  /** Writes `packed-refs` and `HEAD`. Every ref's closure must be here. */
  async writeHeld(held: RefsSnapshot): Promise<void> {
    const { storage } = this.#options;
    await storage.put(this.keys.packedRefs, writePackedRefs(held.refs));
    await storage.put(this.keys.head, writeHead(held.head));
    const opened = await this.#opened;
    if (opened !== undefined) this.#opened = Promise.resolve({ ...opened, held });
  }

  /** Starts empty: what is here belongs to a repository that is another one now. Files go a day later. */
  async reset(visibility: Visibility): Promise<void> {
    await this.#empty(visibility);
    await this.close();
  }

  /** Removes the files of packs that were let go long enough ago. */
  async collectGarbage(): Promise<void> {
    const manifest = await this.#catalog.read();
    const nowMs = this.#options.now();
    const due = (manifest?.garbage ?? []).filter((one) => nowMs - one.sinceMs >= GARBAGE_KEPT_MS);
    if (due.length === 0) return;
    await this.removePacks(due.map((one) => one.name));
    const names = new Set(due.map((one) => one.name));
    await this.#catalog.swap((current) => {
      if (current === undefined) return undefined;
      return { ...current, garbage: current.garbage.filter((one) => !names.has(one.name)) };
    });
  }

  /** The idx first, so that git never sees an idx without its pack. */
  async removePacks(names: readonly string[]): Promise<void> {
    const keys = names.map((name) => packKeys(this.keys.packFolder, name));
    await this.#options.storage.delete(keys.map((one) => one.idx));
    await this.#options.storage.delete(keys.flatMap((one) => [one.rev, one.pack]));
  }

  /** True where nobody reads it: it may be closed to save memory. */
  async isIdle(): Promise<boolean> {
    const opened = await this.#opened;
    return opened === undefined || opened.packs.isIdle;
  }

  /** Lets go of the packs; readers keep theirs. The next `snapshot` looks at the store anew. */
  async close(): Promise<void> {
    const opening = this.#opened;
    this.#opened = undefined;
    const opened = await opening?.catch(() => undefined);
    opened?.packs.release();
  }

  async #open(): Promise<Opened | undefined> {
    const manifest = await this.#catalog.read();
    if (manifest === undefined || manifest.packs.length === 0) return undefined;
    try {
      const packs = await this.#openPacks(manifest.packs);
      return { manifest, held: await this.#readHeld(), packs };
    } catch (error) {
      if (!isHotpackError(error, 'malformed_pack') && !isHotpackError(error, 'missing_object')) throw error;
      this.#options.onDamage(error);
      await this.#empty(manifest.visibility);
      return undefined;
    }
  }

  async #empty(visibility: Visibility): Promise<void> {
    const nowMs = this.#options.now();
    const { storage } = this.#options;
    await this.#catalog.swap(
      (current) =>
        current && {
          ...emptyManifest(visibility, nowMs),
          garbage: [...current.garbage, ...current.packs.map(({ name }) => ({ name, sinceMs: nowMs }))],
        },
    );
    await storage.put(this.keys.packedRefs, writePackedRefs([]));
    await storage.put(this.keys.head, writeHead({ kind: 'absent' }));
  }

  async #reopen(manifest: Manifest, held: RefsSnapshot): Promise<void> {
    const before = this.#opened;
    this.#opened =
      manifest.packs.length === 0
        ? Promise.resolve(undefined)
        : this.#openPacks(manifest.packs).then((packs) => ({ manifest, held, packs }));
    const opened = await before?.catch(() => undefined);
    opened?.packs.release();
    await this.#opened;
  }

  async #openPacks(packs: readonly PackRecord[]): Promise<SharedPacks> {
    const { storage, cacheBytes } = this.#options;
    const names = packs.map((pack) => pack.name);
    return new SharedPacks(await openPacks(storage, { folder: this.keys.packFolder, names, cacheBytes }));
  }

  async #heldNow(): Promise<RefsSnapshot> {
    const opened = await this.#opened?.catch(() => undefined);
    return opened?.held ?? this.#readHeld();
  }

  async #readHeld(): Promise<RefsSnapshot> {
    const { storage } = this.#options;
    const [packedRefs, head] = await Promise.all([
      storage.readAll(this.keys.packedRefs, MAX_REFS_BYTES),
      storage.readAll(this.keys.head, MAX_REFS_BYTES),
    ]);
    const refs = packedRefs.kind === 'absent' ? [] : parsePackedRefs(packedRefs.bytes);
    return { refs, head: head.kind === 'absent' ? { kind: 'absent' } : parseHead(head.bytes, refs) };
  }

  /** What makes git see a repository; `HEAD` last, since without it there is none. */
  async #writeLayout(storage: Storage): Promise<void> {
    await storage.create(this.keys.refsFolder, new Uint8Array());
    await storage.create(this.keys.config, new TextEncoder().encode(CONFIG));
    await storage.create(this.keys.head, writeHead({ kind: 'absent' }));
  }
}

/** Which of `oids` the snapshot lacks. */
export function missingOf(snapshot: MirrorSnapshot | undefined, oids: Iterable<Oid>): Oid[] {
  return [...new Set(oids)].filter((oid) => snapshot === undefined || snapshot.store.find(oid) < 0);
}
