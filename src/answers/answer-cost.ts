/**
 * What an answer cost to make, in microseconds of one core, from counted work; and from that, whether it is kept. The
 * weights are what the engine was measured to need, rounded: they only have to tell cheap from expensive.
 *
 * A clone of whole packs is a copy: reading it from another file saves nothing, and it is never kept. A walk through
 * trees is kept as soon as somebody asks a second time, and at once where it took as long as a person would notice
 * in a fleet of jobs.
 */
/** Whatever is asked. */
const MAKING_US = 1_000;
const OBJECT_WALKED_US = 20;
const OBJECT_SELECTED_US = 2;
const OBJECT_DEFLATED_US = 100;
/** A MiB that is read, placed, hashed and framed. */
const MADE_MIB_US = 3_000;
/** A request, and a MiB from a file to a socket. */
const READING_US = 200;
const READING_MIB_US = 1_000;
/** What upstream sent took a request to it, and its bytes came over a network. */
const UPSTREAM_US = 100_000;
const UPSTREAM_MIB_US = 20_000;
/** From here on an answer is kept when it is first made. */
const EXPENSIVE_US = 10_000;
/** How many times what reading it costs an answer must have cost, to be kept at all, and to be kept at once. */
const WORTH = 2;
const WORTH_AT_ONCE = 5;

export interface CountedWork {
  /** Commits, trees and tags read, sizes asked for. */
  readonly walked: number;
  /** Objects placed one by one; none where packs are copied whole. */
  readonly selected: number;
  /** Objects put together and deflated. */
  readonly deflated: number;
  /** Of the pack; 0 where packs are copied whole. */
  readonly packBytes: number;
}

export function costOfWork({ walked, selected, deflated, packBytes }: CountedWork): number {
  const objectsUs = walked * OBJECT_WALKED_US + selected * OBJECT_SELECTED_US + deflated * OBJECT_DEFLATED_US;
  return MAKING_US + objectsUs + (packBytes / 2 ** 20) * MADE_MIB_US;
}

export function costOfUpstream(packBytes: number): number {
  return UPSTREAM_US + (packBytes / 2 ** 20) * UPSTREAM_MIB_US;
}

/** Whether to begin keeping an answer whose making has cost so much before its first byte. */
export function isKeptAtOnce(costUs: number): boolean {
  return costUs >= EXPENSIVE_US;
}

/** Whether an answer of `packBytes` is worth its room. `wasAskedBefore`: by somebody else, lately. */
export function isWorthKeeping(costUs: number, packBytes: number, wasAskedBefore: boolean): boolean {
  const readingUs = READING_US + (packBytes / 2 ** 20) * READING_MIB_US;
  return wasAskedBefore ? costUs >= WORTH * readingUs : isKeptAtOnce(costUs) && costUs >= WORTH_AT_ONCE * readingUs;
}
