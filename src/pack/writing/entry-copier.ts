/**
 * Copies the selected entries of one window into the pack that is written, and decides how each goes out: as it is stored, as a delta
 * with another name for its base, or not at all, since it has to be put together. Neighbours that go out as they are stored are
 * one run, copied at once. Only deltas have their headers parsed.
 *
 * Synchronous, one loop over numbers and tables, nothing made for an entry: a hundred thousand of them are one answer, and often the
 * first one that a process gives.
 */
import { HotpackError } from '../../bytes/error.ts';
import { OID_BYTES } from '../../bytes/oid.ts';
import { writeOffsetVarint } from '../../bytes/varint.ts';
import {
  createEntryHeader,
  entryTypeOf,
  MAX_ENTRY_HEADER_BYTES,
  parseEntryHeader,
  writeEntryHeader,
} from '../codec/entry-header.ts';
import { OBJ_OFS_DELTA, OBJ_REF_DELTA } from '../codec/object-type.ts';
import type { ObjectStore } from '../object-store.ts';
import type { PackedObjects } from '../reading/packed-objects.ts';
import type { PackOutput } from './pack-output.ts';
import type { PackCounters, PackQuery } from './pack-query.ts';
import type { PackWindow } from './windows/pack-windows.ts';
import type { SelectedObjects } from './selected-objects.ts';

/** A delta's new distance from its base, which is above 0, or one of these. */
const AS_STORED = 0;
const BY_OID = -1;
const TO_BE_PUT_TOGETHER = -2;

/** A window, the bytes that were read of it, and the selected entries of its pack by position. */
export interface LoadedWindow {
  readonly pack: number;
  readonly positions: Uint32Array;
  readonly window: PackWindow;
  readonly bytes: Uint8Array;
}

export class EntryCopier {
  readonly #store: ObjectStore & PackedObjects;
  readonly #query: PackQuery;
  readonly #selected: SelectedObjects;
  readonly #output: PackOutput;
  readonly #counters: PackCounters;
  readonly #header = createEntryHeader();
  readonly #newHeader = new Uint8Array(MAX_ENTRY_HEADER_BYTES);
  /** The base of the delta that was placed last, where that is `BY_OID`. */
  #base = -1;

  constructor(parts: {
    readonly store: ObjectStore & PackedObjects;
    readonly query: PackQuery;
    readonly selected: SelectedObjects;
    readonly output: PackOutput;
    readonly counters: PackCounters;
  }) {
    this.#store = parts.store;
    this.#query = parts.query;
    this.#selected = parts.selected;
    this.#output = parts.output;
    this.#counters = parts.counters;
  }

  /**
   * Copies the window's entries from number `first` of the pack's selected ones on. Returns the number of the first that has to be put
   * together, which then belongs where the output ends, or where the window ends. Of an entry longer than a window the
   * rest is the caller's to copy.
   */
  copy(loaded: LoadedWindow, first: number): number {
    const { pack, positions, window, bytes } = loaded;
    const { from, last } = window;
    const starts = this.#store.startsIn(pack);
    const outputAts = this.#selected.outputsIn(pack);
    const output = this.#output;
    const begun = output.position;
    let newHeaderBytes = 0;
    let deltas = 0;
    /** Bytes that go out as they are, not yet appended. */
    let runStart = 0;
    let runEnd = 0;
    let i = first;
    for (; i < last; i++) {
      const position = positions[i] as number;
      const start = (starts[position] as number) - from;
      const end = Math.min((starts[position + 1] as number) - from, bytes.length);
      if (start !== runEnd) {
        output.append(bytes, runStart, runEnd);
        runStart = runEnd = start;
      }
      const outputAt = output.position + (runEnd - runStart);
      outputAts[position] = outputAt;
      const type = entryTypeOf(bytes[start] as number);
      if (type === OBJ_OFS_DELTA || type === OBJ_REF_DELTA) {
        const headerBytes = parseEntryHeader(bytes, start, end, this.#header);
        if (headerBytes < 0) throw this.#malformed(pack, position, 'its header does not end');
        const place = this.#placeDelta(loaded, position, outputAt);
        if (place === TO_BE_PUT_TOGETHER) break;
        if (place !== AS_STORED) {
          output.append(bytes, runStart, runEnd);
          newHeaderBytes += this.#appendHeader(place);
          runStart = start + headerBytes;
        }
        deltas++;
      }
      runEnd = end;
    }
    output.append(bytes, runStart, runEnd);
    const counters = this.#counters;
    counters.objects += i - first;
    counters.reused += i - first - deltas;
    counters.reusedDeltas += deltas;
    counters.bytesCopied += output.position - begun - newHeaderBytes;
    return i;
  }

  /** Decides about the delta whose header was parsed last. */
  #placeDelta({ pack, bytes }: LoadedWindow, position: number, outputAt: number): number {
    const store = this.#store;
    const { baseDistance, baseOidAt } = this.#header;
    let base: number;
    let baseAt: number;
    if (baseOidAt >= 0) {
      base = store.findBaseBytes(bytes, baseOidAt, pack);
      if (base < 0) throw this.#malformed(pack, position, 'the base of its delta is not there');
      baseAt = this.#selected.outputAt(store.packOf(base), store.positionOf(base));
    } else {
      const offset = (store.startsIn(pack)[position] as number) - baseDistance;
      const basePosition = store.positionAtOffset(pack, offset, position);
      baseAt = this.#selected.outputAt(pack, basePosition);
      if (baseAt > 0 && this.#query.ofsDelta) {
        const distance = outputAt - baseAt;
        return distance === baseDistance ? AS_STORED : distance;
      }
      base = store.objectAtPosition(pack, basePosition);
      if (baseAt < 0) {
        // An earlier pack may have it too, and then it goes by the number that it has there.
        base = store.canonical(base);
        baseAt = this.#selected.outputAt(store.packOf(base), store.positionOf(base));
      }
    }
    if (baseAt > 0 && this.#query.ofsDelta) return outputAt - baseAt;
    if (baseAt < 0 && !(this.#query.thin && this.#query.clientHas.has(base))) return TO_BE_PUT_TOGETHER;
    this.#base = base;
    return baseOidAt >= 0 ? AS_STORED : BY_OID;
  }

  /** Appends a header in place of the one that was parsed last; returns its length. */
  #appendHeader(place: number): number {
    const header = this.#newHeader;
    const { size } = this.#header;
    let length: number;
    if (place === BY_OID) {
      length = writeEntryHeader(header, 0, OBJ_REF_DELTA, size);
      this.#store.copyOid(this.#base, header, length);
      length += OID_BYTES;
    } else {
      length = writeOffsetVarint(place, header, writeEntryHeader(header, 0, OBJ_OFS_DELTA, size));
    }
    this.#output.append(header, 0, length);
    return length;
  }

  #malformed(pack: number, position: number, what: string): HotpackError {
    const name = this.#store.packName(pack);
    const offset = this.#store.startsIn(pack)[position];
    return new HotpackError('malformed_pack', `pack ${name}, entry at ${offset}: ${what}`, {
      detail: { pack: name, offset },
    });
  }
}
