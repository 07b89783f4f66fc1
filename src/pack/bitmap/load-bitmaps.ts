/**
 * The bitmap of a store, opened when it is first asked for. It only makes answers cheaper: where it is absent,
 * damaged or out of reach there is none, and that is no error.
 */
import { isHotpackError } from '../../bytes/error.ts';
import type { PackCatalog } from '../reading/pack-catalog.ts';
import type { PackTable } from '../reading/pack-table.ts';
import { parseBitmapFile } from './bitmap-file.ts';
import { StoreBitmaps } from './store-bitmaps.ts';

/** Reads the `.bitmap` file beside one of the store's packs; undefined where there is none. */
export interface BitmapSource {
  /** Which of the store's packs it belongs to. */
  readonly pack: number;
  readonly read: () => Promise<Uint8Array | undefined>;
}

export class BitmapLoader {
  readonly #catalog: PackCatalog;
  readonly #source: BitmapSource | undefined;
  #loading: Promise<StoreBitmaps | undefined> | undefined;

  constructor(catalog: PackCatalog, source: BitmapSource | undefined) {
    this.#catalog = catalog;
    this.#source = source;
  }

  /** The same for all who ask, however often; nobody's signal ends it. */
  load(): Promise<StoreBitmaps | undefined> {
    this.#loading ??= this.#load();
    return this.#loading;
  }

  /** A file may have come to be there: whoever asks next looks again. */
  forget(): void {
    this.#loading = undefined;
  }

  async #load(): Promise<StoreBitmaps | undefined> {
    if (this.#source === undefined) return undefined;
    const { pack, read } = this.#source;
    try {
      const file = await read();
      if (file === undefined) return undefined;
      const { objects, idx } = this.#catalog.tables[pack] as PackTable;
      return new StoreBitmaps(parseBitmapFile(file, { objects, packChecksum: idx.packChecksum }), this.#catalog, pack);
    } catch (error) {
      // A damaged file stays as it is; a medium that gave no answer may give one next time.
      if (!isHotpackError(error, 'malformed_pack')) this.forget();
      return undefined;
    }
  }
}
