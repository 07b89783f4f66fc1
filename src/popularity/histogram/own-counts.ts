/**
 * What this instance has counted, in memory: a cell for each day, repository and field, and the parts that cells are written in.
 * A cell belongs to the part that was the last one when it was first counted, for ever: a flush writes the parts that
 * changed, each below 48 KiB, not all of the day.
 *
 * Memory: about 250 bytes a cell, at most `maxCells`; what would need more is dropped, and the caller told.
 */
import { raise, type Counts } from './counts.ts';
import type { Day } from './day.ts';
import type { CountKind } from './key.ts';

const MAX_PART_BYTES = 48 * 1024;
/** Quotes, colons, braces, a comma and twelve digits: more than a cell needs beside its names. */
const CELL_BYTES = 24;

interface Cell {
  readonly part: Part;
  count: number;
}

/** What one key holds. */
export interface Part {
  readonly kind: CountKind;
  readonly day: Day;
  readonly index: number;
  /** The number in the key that is written next, or was written last if `isUsed`. */
  version: number;
  isUsed: boolean;
  /** A write under the current version failed: it may take place yet. */
  isUncertain: boolean;
  /** Grows with every count. */
  changes: number;
  flushedChanges: number;
  bytes: number;
  readonly cells: { readonly repo: string; readonly field: string }[];
}

interface DayCounts {
  readonly kind: CountKind;
  readonly day: Day;
  readonly repos: Map<string, Map<string, Cell>>;
  readonly parts: Part[];
}

export class OwnCounts {
  readonly #maxCells: number;
  readonly #days = new Map<string, DayCounts>();
  /** Days that were let go: counting there anew would begin at zero under keys that were written. */
  readonly #sealed = new Set<string>();
  #cells = 0;

  constructor(options: { readonly maxCells: number }) {
    this.#maxCells = options.maxCells;
  }

  /** False: dropped, since there is no room, or the day is long over. */
  add(
    at: { readonly kind: CountKind; readonly day: Day; readonly repo: string; readonly field: string },
    n: number,
  ): boolean {
    const day = this.#dayOf(at.kind, at.day);
    if (day === undefined) return false;
    let cell = day.repos.get(at.repo)?.get(at.field);
    if (cell === undefined) {
      if (this.#cells >= this.#maxCells) return false;
      cell = this.#newCell(day, at.repo, at.field);
    }
    cell.count += n;
    cell.part.changes++;
    return true;
  }

  /** How many fields of a repository are counted on a day. */
  fieldsOf(kind: CountKind, day: Day, repo: string): ReadonlyMap<string, unknown> | undefined {
    return this.#days.get(`${kind}:${day}`)?.repos.get(repo);
  }

  /** Fields and counts of one repository on a day. */
  countsOf(kind: CountKind, day: Day, repo: string): ReadonlyMap<string, number> {
    return new Map(
      [...(this.#days.get(`${kind}:${day}`)?.repos.get(repo) ?? [])].map(([field, cell]) => [field, cell.count]),
    );
  }

  counts(kind: CountKind, day: Day): Counts {
    const counts: Counts = new Map();
    for (const [repo, cells] of this.#days.get(`${kind}:${day}`)?.repos ?? []) {
      for (const [field, cell] of cells) raise(counts, repo, field, cell.count);
    }
    return counts;
  }

  /** Of a part, as it is now. */
  countsOfPart(part: Part): Counts {
    const counts: Counts = new Map();
    const repos = this.#days.get(`${part.kind}:${part.day}`)?.repos;
    for (const { repo, field } of part.cells) raise(counts, repo, field, repos?.get(repo)?.get(field)?.count ?? 0);
    return counts;
  }

  /** Parts that hold more than was written, oldest days first. */
  dirtyParts(): Part[] {
    const days = [...this.#days.values()].toSorted((left, right) => (left.day < right.day ? -1 : 1));
    return days.flatMap((day) => day.parts.filter((part) => part.changes > part.flushedChanges));
  }

  /** Lets go of days that `isOver` says it of, once they are written. */
  forget(isOver: (day: Day) => boolean): void {
    for (const [key, { day, parts }] of this.#days) {
      if (isOver(day) && parts.every((part) => part.changes === part.flushedChanges)) this.#drop(key);
    }
  }

  /** Lets go of days written or not. Gives the number of cells that were not. */
  dropUnwritten(isOver: (day: Day) => boolean): number {
    let dropped = 0;
    for (const [key, { day, parts }] of this.#days) {
      if (!isOver(day)) continue;
      for (const part of parts) if (part.changes > part.flushedChanges) dropped += part.cells.length;
      this.#drop(key);
    }
    return dropped;
  }

  #drop(key: string): void {
    for (const part of this.#days.get(key)?.parts ?? []) this.#cells -= part.cells.length;
    this.#days.delete(key);
    this.#sealed.add(key);
  }

  #dayOf(kind: CountKind, day: Day): DayCounts | undefined {
    const key = `${kind}:${day}`;
    const present = this.#days.get(key);
    if (present !== undefined || this.#sealed.has(key)) return present;
    const made: DayCounts = { kind, day, repos: new Map(), parts: [] };
    this.#days.set(key, made);
    return made;
  }

  #newCell(day: DayCounts, repo: string, field: string): Cell {
    const bytes = jsonBytes(repo) + jsonBytes(field) + CELL_BYTES;
    let part = day.parts.at(-1);
    if (part === undefined || part.bytes + bytes > MAX_PART_BYTES) {
      part = newPart(day, day.parts.length);
      day.parts.push(part);
    }
    part.bytes += bytes;
    part.cells.push({ repo, field });
    this.#cells++;
    const cell: Cell = { part, count: 0 };
    let cells = day.repos.get(repo);
    if (cells === undefined) day.repos.set(repo, (cells = new Map()));
    cells.set(field, cell);
    return cell;
  }
}

function jsonBytes(text: string): number {
  return new TextEncoder().encode(JSON.stringify(text)).length;
}

function newPart({ kind, day }: DayCounts, index: number): Part {
  return {
    kind,
    day,
    index,
    version: 0,
    isUsed: false,
    isUncertain: false,
    changes: 0,
    flushedChanges: 0,
    bytes: 0,
    cells: [],
  };
}
