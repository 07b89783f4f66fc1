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
 * Input comes in windows of 1 MiB, the next one on its way while one is worked on.
 * Memory: what `selected-objects.ts` says, two windows, a chunk of output and, where an object is put together, that object.
 */
import { throwIfAborted } from '../../bytes/abort.ts';
import { HotpackError } from '../../bytes/error.ts';
import { giveBack } from '../../bytes/give-back.ts';
import { OID_BYTES } from '../../bytes/oid.ts';
import { writeOffsetVarint } from '../../bytes/varint.ts';
import {
  createEntryHeader,
  MAX_ENTRY_HEADER_BYTES,
  parseEntryHeader,
  writeEntryHeader,
} from '../codec/entry-header.ts';
import { OBJ_COMMIT, OBJ_OFS_DELTA, OBJ_REF_DELTA, OBJ_TAG } from '../codec/object-type.ts';
import { PACK_HEADER_BYTES, PACK_TRAILER_BYTES, writePackHeader } from '../codec/pack-header.ts';
import type { ObjectStore } from '../object-store.ts';
import type { PackedObjects } from '../reading/packed-objects.ts';
import { PackOutput } from './pack-output.ts';
import { createPackCounters } from './pack-query.ts';
import type { PackCounters, PackOptions, PackQuery } from './pack-query.ts';
import { cutWindows, planWindows, WINDOW_BYTES } from './pack-windows.ts';
import type { PackWindow } from './pack-windows.ts';
import { readAhead } from './read-ahead.ts';
import { SelectedObjects } from './selected-objects.ts';
import { deflateObject } from './whole-object.ts';

type Store = ObjectStore & PackedObjects;

/** How an entry goes out: as it is stored, as a delta with another name for its base, or put together. */
type Placement =
  | { readonly kind: 'as-stored' }
  | { readonly kind: 'by-distance'; readonly distance: number }
  | { readonly kind: 'by-oid'; readonly base: number }
  | { readonly kind: 'whole' };

const AS_STORED: Placement = { kind: 'as-stored' };
const WHOLE: Placement = { kind: 'whole' };

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
  readonly #header = createEntryHeader();
  /** A rewritten header; short enough that the output copies it. */
  readonly #newHeader = new Uint8Array(MAX_ENTRY_HEADER_BYTES);

  constructor(store: Store, query: PackQuery, options: PackOptions) {
    this.#store = store;
    this.#query = query;
    this.#options = options;
    this.#counters = options.counters ?? createPackCounters();
    this.#selected = new SelectedObjects(query.objects, store);
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
      for await (const { bytes } of readAhead(this.#store, pack, cutWindows(from, to), this.#options.signal)) {
        this.#counters.bytesCopied += bytes.length;
        this.#output.pass(bytes);
        yield* this.#output.take();
      }
      return;
    }
    const positions = selected.positionsIn(pack);
    const windows = planWindows(this.#store.startsIn(pack), positions);
    for await (const { window, bytes } of readAhead(this.#store, pack, windows, this.#options.signal)) {
      const { length } = bytes;
      yield* this.#writeWindow({ pack, positions, window }, bytes);
      giveBack(bytes);
      if (length < window.to - window.from) yield* this.#copyRest(pack, window, length);
      yield* this.#output.take();
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

  async *#writeWindow(
    part: { readonly pack: number; readonly positions: Uint32Array; readonly window: PackWindow },
    bytes: Uint8Array,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const { pack, positions, window } = part;
    const starts = this.#store.startsIn(pack);
    const output = this.#output;
    /** Start of the bytes that go out as they are, not yet appended; they end where the last copied entry ended. */
    let runStart = 0;
    let runEnd = 0;
    const endRun = (): void => {
      output.append(bytes, runStart, runEnd);
      this.#counters.bytesCopied += runEnd - runStart;
    };
    for (let i = window.first; i < window.last; i++) {
      const position = positions[i] as number;
      const start = (starts[position] as number) - window.from;
      const entryEnd = (starts[position + 1] as number) - window.from;
      const end = Math.min(entryEnd, bytes.length);
      if (start !== runEnd) {
        endRun();
        runStart = runEnd = start;
      }
      const outputAt = output.position + (runEnd - runStart);
      const headerBytes = parseEntryHeader(bytes, start, end, this.#header);
      if (headerBytes < 0) throw this.#malformed(pack, position, 'its header does not end');
      const placement = this.#place({ pack, position, outputAt }, bytes);
      this.#selected.write(pack, position, outputAt);
      if (placement.kind === 'as-stored') {
        runEnd = end;
        this.#countCopied(this.#header.type === OBJ_OFS_DELTA || this.#header.type === OBJ_REF_DELTA);
        continue;
      }
      endRun();
      runStart = runEnd = end;
      if (placement.kind === 'whole') {
        // Nothing of the stored entry is used, so the rest of a long one must not be copied.
        if (end < entryEnd) this.#skipRest = true;
        const object = this.#store.objectAtPosition(pack, position);
        for await (const _ of this.#writeWhole(object)) yield* this.#output.take();
      } else {
        output.append(this.#deltaHeader(placement));
        runStart = start + headerBytes;
        this.#countCopied(true);
      }
      if (this.#output.hasReady) yield* this.#output.take();
    }
    endRun();
  }

  #skipRest = false;

  /** What of a long entry lies behind its first window. */
  async *#copyRest(pack: number, window: PackWindow, done: number): AsyncGenerator<Uint8Array, void, undefined> {
    if (this.#skipRest) {
      this.#skipRest = false;
      return;
    }
    const { signal } = this.#options;
    for (let at = window.from + done; at < window.to; at += WINDOW_BYTES) {
      yield* this.#output.take();
      const bytes = await this.#store.readRange(pack, at, Math.min(WINDOW_BYTES, window.to - at), signal);
      throwIfAborted(signal);
      this.#counters.bytesCopied += bytes.length;
      this.#output.pass(bytes);
    }
  }

  /** Decides about the entry whose header was just parsed out of `bytes`. */
  #place(
    entry: { readonly pack: number; readonly position: number; readonly outputAt: number },
    bytes: Uint8Array,
  ): Placement {
    const header = this.#header;
    if (header.type >= OBJ_COMMIT && header.type <= OBJ_TAG) return AS_STORED;
    const store = this.#store;
    const { pack, position, outputAt } = entry;
    const isNamed = header.type === OBJ_REF_DELTA;
    let base: number;
    let baseAt: number;
    if (isNamed) {
      base = store.findBaseBytes(bytes, header.baseOidAt, pack);
      if (base < 0) throw this.#malformed(pack, position, 'the base of its delta is not there');
      baseAt = this.#outputAt(base);
    } else {
      const offset = (store.startsIn(pack)[position] as number) - header.baseDistance;
      const basePosition = store.positionAtOffset(pack, offset, position);
      base = store.objectAtPosition(pack, basePosition);
      baseAt = this.#selected.outputAt(pack, basePosition);
      if (baseAt < 0) {
        // An earlier pack may have it too, and then it goes by the number that it has there.
        base = store.canonical(base);
        baseAt = this.#outputAt(base);
      }
    }
    if (baseAt > 0 && this.#query.ofsDelta) {
      const distance = outputAt - baseAt;
      return !isNamed && distance === header.baseDistance ? AS_STORED : { kind: 'by-distance', distance };
    }
    if (baseAt >= 0 || (this.#query.thin && this.#query.clientHas.has(base))) {
      return isNamed ? AS_STORED : { kind: 'by-oid', base };
    }
    return WHOLE;
  }

  #outputAt(object: number): number {
    return this.#selected.outputAt(this.#store.packOf(object), this.#store.positionOf(object));
  }

  #deltaHeader(placement: Exclude<Placement, { kind: 'as-stored' | 'whole' }>): Uint8Array {
    const header = this.#newHeader;
    if (placement.kind === 'by-distance') {
      const at = writeEntryHeader(header, 0, OBJ_OFS_DELTA, this.#header.size);
      return header.subarray(0, writeOffsetVarint(placement.distance, header, at));
    }
    const at = writeEntryHeader(header, 0, OBJ_REF_DELTA, this.#header.size);
    this.#store.copyOid(placement.base, header, at);
    return header.subarray(0, at + OID_BYTES);
  }

  /** Puts the object together and appends it; what it yields are only occasions to hand out chunks. */
  async *#writeWhole(object: number): AsyncGenerator<void, void, undefined> {
    this.#counters.objects++;
    this.#counters.deflated++;
    for await (const piece of deflateObject(this.#store, object, this.#options)) {
      this.#output.append(piece);
      yield;
    }
  }

  #countCopied(isDelta: boolean): void {
    this.#counters.objects++;
    if (isDelta) this.#counters.reusedDeltas++;
    else this.#counters.reused++;
  }

  #malformed(pack: number, position: number, what: string): HotpackError {
    const name = this.#store.packName(pack);
    const offset = this.#store.startsIn(pack)[position];
    return new HotpackError('malformed_pack', `pack ${name}, entry at ${offset}: ${what}`, {
      detail: { pack: name, offset },
    });
  }
}
