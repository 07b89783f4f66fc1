/**
 * One manifest with its packs open: what a request works on from its first byte to its last. Packs that were replaced
 * stay open until their last reader lets go; nothing ever waits for a reader.
 */
import type { Oid } from '../../bytes/oid.ts';
import type { ObjectStore } from '../../pack/object-store.ts';
import type { PackedObjects } from '../../pack/reading/packed-objects.ts';
import type { RefsSnapshot } from '../../protocol/refs-snapshot.ts';
import { ofBranches, type Manifest } from '../catalog/manifest.ts';
import type { StoreWork } from '../../pack/work/store-work.ts';
import type { OpenStoreWork } from '../tasks.ts';
import type { OpenPacks } from './packs.ts';

/** To be released exactly once, by whoever was handed it. */
export interface MirrorSnapshot {
  readonly manifest: Manifest;
  /** Refs whose closure is in `store`. */
  readonly held: RefsSnapshot;
  readonly store: ObjectStore & PackedObjects;
  /** On `store`, elsewhere where the platform has threads. Everything that walks belongs there. */
  readonly work: StoreWork;
  release(): void;
}

/** True where a pack of class `branches` holds it: these come first, and an object goes by the first pack's number. */
export function isInBranches({ manifest, store }: MirrorSnapshot, oid: Oid): boolean {
  const branches = ofBranches(manifest.packs).length;
  const end = branches < store.packCount ? store.firstObject(branches) : store.objectCount;
  const object = store.find(oid);
  return object >= 0 && object < end;
}

/** Open packs that several snapshots share; closed when the last one has let go. Starts with one user. */
export class SharedPacks {
  readonly work: OpenStoreWork;
  /** Resolves when the last one has let go. */
  readonly unread: Promise<void>;
  readonly #packs: OpenPacks;
  readonly #letGo: () => void;
  #users = 1;

  constructor(packs: OpenPacks, work: OpenStoreWork) {
    this.#packs = packs;
    this.work = work;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.unread = promise;
    this.#letGo = resolve;
  }

  get store(): ObjectStore & PackedObjects {
    return this.#packs.store;
  }

  get isIdle(): boolean {
    return this.#users <= 1;
  }

  get isClosed(): boolean {
    return this.#users === 0;
  }

  snapshot(manifest: Manifest, held: RefsSnapshot): MirrorSnapshot {
    this.#users++;
    let released = false;
    return {
      manifest,
      held,
      store: this.#packs.store,
      work: this.work,
      release: () => {
        if (released) return;
        released = true;
        this.release();
      },
    };
  }

  release(): void {
    this.#users--;
    if (this.#users > 0) return;
    void this.work.close();
    void this.#packs.close();
    this.#letGo();
  }
}
