/**
 * The bitmap of a store, opened when it is first asked for. It only makes answers cheaper: where it is absent,
 * damaged or out of reach there is none, and that is no error.
 */
import { isHotpackError } from '../../bytes/error.ts';
import type { PackCatalog } from '../reading/pack-catalog.ts';
import { parseBitmapFile } from './bitmap-file.ts';
import { StoreBitmaps } from './store-bitmaps.ts';

/** The `.bitmap` file beside the named pack; undefined where there is none. */
export type ReadBitmap = (packName: string) => Promise<Uint8Array | undefined>;

/** Which of some packs has the bitmap, where one has: that with the most objects, of equals the first. -1: there are none. */
export function bitmappedPack(packs: readonly { readonly objects: number }[]): number {
  let largest = -1;
  for (const [pack, { objects }] of packs.entries()) {
    if (largest < 0 || objects > (packs[largest]?.objects as number)) largest = pack;
  }
  return largest;
}

export interface BitmapSource {
  readonly read: ReadBitmap;
  /** How many packs, the first ones of the catalog, may have a bitmap: those behind them refer to objects of others. */
  readonly closedPacks: number;
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
    const { read, closedPacks } = this.#source ?? {};
    const pack = bitmappedPack(this.#catalog.tables.slice(0, closedPacks));
    const table = this.#catalog.tables[pack];
    if (read === undefined || table === undefined) return undefined;
    try {
      const file = await read(table.name);
      if (file === undefined) return undefined;
      const { objects, idx } = table;
      return new StoreBitmaps(parseBitmapFile(file, { objects, packChecksum: idx.packChecksum }), this.#catalog, pack);
    } catch (error) {
      // A damaged file stays as it is; a medium that gave no answer may give one next time.
      if (!isHotpackError(error, 'malformed_pack')) this.forget();
      return undefined;
    }
  }
}
