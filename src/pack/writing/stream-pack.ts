/**
 * Writes a pack out of stored entries (gitformat-pack), in one pass, as it is pulled.
 *
 * Packs follow one another in manifest order, the entries of each in the order of their offsets. An entry that is no
 * delta is copied as it is stored. A delta is copied where its base goes along, or, in a thin pack, where the client has
 * it; otherwise the object is put together and deflated whole. A copied delta names its base by distance
 * where the base stands before it in this pack and the client takes that, else by oid. Both follow delta edges that the
 * store has, and those form no ring, so neither do the pack's.
 *
 * Entries whose header stays as it is are copied in runs; a pack all of whose entries are selected is one run that
 * nobody parses. Holes and rewritten headers shift what follows; since a delta's base mostly precedes it, knowing where
 * each entry begins in the output is enough to do all this in one pass.
 *
 * Input comes in windows of 1 MiB, the next ones on their way while one is worked on (`read-ahead.ts`). What a window makes is handed out
 * once all of it is made.
 * Memory: what `selected-objects.ts` says, three windows, their output and, where an object is put together, that object.
 */
import { throwIfAborted } from '../../bytes/abort.ts';
import { HotpackError } from '../../bytes/error.ts';
import { PACK_HEADER_BYTES, PACK_TRAILER_BYTES, writePackHeader } from '../codec/pack-header.ts';
import type { ObjectStore } from '../object-store.ts';
import type { PackedObjects } from '../reading/packed-objects.ts';
import { EntryCopier, type LoadedWindow } from './entry-copier.ts';
import { PackOutput } from './pack-output.ts';
import { createPackCounters } from './pack-query.ts';
import type { PackCounters, PackOptions, PackQuery } from './pack-query.ts';
import { cutWindows, planWindows, WINDOW_BYTES } from './windows/pack-windows.ts';
import type { PackWindow } from './windows/pack-windows.ts';
import { readAhead } from './windows/read-ahead.ts';
import { SelectedObjects } from './selected-objects.ts';
import { WindowMemory } from './windows/window-memory.ts';
import { deflateObject } from './objects/whole-object.ts';

type Store = ObjectStore & PackedObjects;

/** The pack of `query.objects`: header, entries, trailer, in chunks of up to 1 MiB, few of them below 64 KiB. The chunks are the taker's. */
export async function* streamPack(
  store: Store,
  query: PackQuery,
  options: PackOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const writer = new PackWriter(store, query, options);
  for (let pack = 0; pack < store.packCount; pack++) yield* writer.writePack(pack);
  yield* writer.finish();
}

class PackWriter {
  readonly #store: Store;
  readonly #query: PackQuery;
  readonly #options: PackOptions;
  readonly #counters: PackCounters;
  readonly #selected: SelectedObjects;
  readonly #output = new PackOutput();
  readonly #copier: EntryCopier;
  readonly #windows = new WindowMemory();

  constructor(store: Store, query: PackQuery, options: PackOptions) {
    this.#store = store;
    this.#query = query;
    this.#options = options;
    this.#counters = options.counters ?? createPackCounters();
    this.#selected = new SelectedObjects(query.objects, store);
    this.#copier = new EntryCopier({
      store,
      query,
      selected: this.#selected,
      output: this.#output,
      counters: this.#counters,
    });
    this.#output.append(writePackHeader(query.objects.length));
  }

  async *writePack(pack: number): AsyncGenerator<Uint8Array, void, undefined> {
    const selected = this.#selected;
    const count = selected.countIn(pack);
    if (count === 0) return;
    if (count === this.#store.objectsIn(pack) && this.#query.ofsDelta) {
      selected.writeWholePack(pack, this.#output.position);
      this.#counters.objects += count;
      this.#counters.reused += count;
      const from = PACK_HEADER_BYTES;
      const to = this.#store.packBytes(pack) - PACK_TRAILER_BYTES;
      for await (const { bytes } of readAhead(this.#store, pack, cutWindows(from, to), this.#options)) {
        this.#counters.bytesCopied += bytes.length;
        this.#output.pass(bytes);
        yield* this.#output.take();
      }
      return;
    }
    const positions = selected.positionsIn(pack);
    const windows = planWindows(this.#store.startsIn(pack), positions);
    const { signal } = this.#options;
    for await (const { window, bytes } of readAhead(this.#store, pack, windows, { signal, memory: this.#windows })) {
      yield* this.#writeWindow({ pack, positions, window, bytes });
    }
  }

  *finish(): Generator<Uint8Array, void, undefined> {
    const { objects } = this.#counters;
    if (objects !== this.#query.objects.length) {
      throw new HotpackError('malformed_pack', 'the packs hold other objects than their indexes say', {
        detail: { selected: this.#query.objects.length, written: objects },
      });
    }
    const last = this.#output.finish();
    this.#counters.bytesWritten = this.#output.position;
    this.#counters.bytesHashed = this.#output.position - PACK_TRAILER_BYTES;
    yield* last;
  }

  async *#writeWindow(loaded: LoadedWindow): AsyncGenerator<Uint8Array, void, undefined> {
    const { pack, positions, window, bytes } = loaded;
    let next = this.#copier.copy(loaded, window.first);
    const isCopied = next === window.last;
    while (next < window.last) {
      yield* this.#output.take();
      yield* this.#writeWhole(this.#store.objectAtPosition(pack, positions[next] as number));
      next = this.#copier.copy(loaded, next + 1);
    }
    const { length } = bytes;
    this.#windows.giveBack(bytes);
    // Of a long entry that was put together nothing is used.
    if (isCopied && length < window.to - window.from) yield* this.#copyRest(pack, window, length);
    yield* this.#output.take();
  }

  /** What of a long entry lies behind its first window. */
  async *#copyRest(pack: number, window: PackWindow, done: number): AsyncGenerator<Uint8Array, void, undefined> {
    const { signal } = this.#options;
    for (let at = window.from + done; at < window.to; at += WINDOW_BYTES) {
      yield* this.#output.take();
      const bytes = await this.#store.readRange(pack, at, Math.min(WINDOW_BYTES, window.to - at), { signal });
      throwIfAborted(signal);
      this.#counters.bytesCopied += bytes.length;
      this.#output.pass(bytes);
    }
  }

  /** Puts the object together and appends it. */
  async *#writeWhole(object: number): AsyncGenerator<Uint8Array, void, undefined> {
    this.#counters.objects++;
    this.#counters.deflated++;
    for await (const piece of deflateObject(this.#store, object, this.#options)) {
      this.#output.append(piece);
      yield* this.#output.take();
    }
  }
}
