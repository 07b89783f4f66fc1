/**
 * Tables of packs that requests share where each opens a mirror for itself: packs never change, so a table is right for as long
 * as it is kept. Only finished tables are here. Who comes while another request reads one looks again every `LOOK_MS`, by a
 * timer of his own, and after `WAIT_MS` reads it himself: so sixty first requests read an idx once, and none of them hangs where
 * the one that reads it ends with its client.
 *
 * Memory: `maxBytes`, the least recently used go first. A table that is larger is kept by nobody.
 */
import { sleep } from '../../bytes/abort.ts';
import type { PackTable } from '../../pack/reading/pack-table.ts';

const LOOK_MS = 20;
const WAIT_MS = 5_000;

export class PackTables {
  readonly #maxBytes: number;
  readonly #now: () => number;
  /** The least recently used first. */
  readonly #tables = new Map<string, PackTable>();
  /** Who is being read, and since when. */
  readonly #readSinceMs = new Map<string, number>();
  #bytes = 0;

  constructor(options: { readonly maxBytes: number; readonly now: () => number }) {
    this.#maxBytes = options.maxBytes;
    this.#now = options.now;
  }

  /** Bytes of all tables. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Undefined: the caller reads the table and calls `keep` (or does not, where that fails). Rejects with `aborted` alone. */
  async get(name: string, signal?: AbortSignal): Promise<PackTable | undefined> {
    for (;;) {
      const table = this.#tables.get(name);
      if (table !== undefined) {
        this.#tables.delete(name);
        this.#tables.set(name, table);
        return table;
      }
      const sinceMs = this.#readSinceMs.get(name);
      if (sinceMs === undefined || this.#now() - sinceMs >= WAIT_MS) {
        this.#readSinceMs.set(name, this.#now());
        return undefined;
      }
      // oxlint-disable-next-line no-await-in-loop -- looks again
      await sleep(LOOK_MS, signal);
    }
  }

  /** The table that is to be used: the one that was here already, where somebody was faster. */
  keep(table: PackTable): PackTable {
    const { name, tableBytes } = table;
    this.#readSinceMs.delete(name);
    const present = this.#tables.get(name);
    if (present !== undefined) return present;
    if (tableBytes > this.#maxBytes) return table;
    this.#tables.set(name, table);
    this.#bytes += tableBytes;
    for (const [oldest, one] of this.#tables) {
      if (this.#bytes <= this.#maxBytes) break;
      this.#tables.delete(oldest);
      this.#bytes -= one.tableBytes;
    }
    return table;
  }
}
