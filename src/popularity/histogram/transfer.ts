/**
 * Clone counts as lines of JSON, `{"repo":"up/a","day":"2026-11-22","clones":3}`: out of a key-value store, and into one.
 *
 * What is imported counts beside what is there, as if one more instance had counted it. That instance's name is the
 * hash of the lines, so the same lines imported twice, or again after a failure, count once.
 */
import { sha1HexOf } from '../../bytes/sha1.ts';
import { HotpackError } from '../../bytes/error.ts';
import type { Kv } from '../../storage/kv/contract.ts';
import { CLONES } from '../rank.ts';
import { addUp, type Counts } from './counts.ts';
import { addDays, dayOf, isDay, type Day } from './day.ts';
import { flushCounts } from './flush.ts';
import { OwnCounts } from './own-counts.ts';
import { readDays } from './read.ts';

export interface CloneLine {
  readonly repo: string;
  readonly day: Day;
  readonly clones: number;
}

/** A name as `Repository.name` has it: upstream, slash, path. */
const REPO = /^[a-z0-9._-]+\/[^\s/][^\p{Cc}]*$/u;
const MAX_REPO = 600;

/** By day, then by name. */
export async function* exportClones(
  kv: Kv,
  options: { readonly nowMs: number; readonly keptDays: number; readonly onMalformed: (key: string) => void },
  signal?: AbortSignal,
): AsyncGenerator<CloneLine> {
  const to = dayOf(options.nowMs);
  const question = {
    kind: 'clones',
    from: addDays(to, -options.keptDays),
    to,
    onMalformed: options.onMalformed,
  } as const;
  for await (const { day, counts } of readDays(kv, question, signal)) {
    const sums: Counts = new Map();
    addUp(sums, counts);
    for (const repo of [...sums.keys()].toSorted()) {
      yield { repo, day, clones: sums.get(repo)?.get(CLONES) ?? 0 };
    }
  }
}

/** Throws `invalid_argument` that names the line. `undefined`: an empty line. */
export function parseCloneLine(text: string, number: number): CloneLine | undefined {
  if (text.trim() === '') return undefined;
  const { repo, day, clones } = parseObject(text, number);
  const problem =
    typeof repo !== 'string' || repo.length > MAX_REPO || !REPO.test(repo)
      ? 'repo is <upstream>/<path>'
      : typeof day !== 'string' || !isDay(day)
        ? 'day is YYYY-MM-DD'
        : !Number.isSafeInteger(clones) || (clones as number) < 1
          ? 'clones is a whole number from 1'
          : undefined;
  if (problem !== undefined) throw wrongLine(number, problem);
  return { repo, day, clones } as CloneLine;
}

export interface Imported {
  readonly lines: number;
  readonly clones: number;
  /** Of days that are not kept any more, or that are yet to come. */
  readonly skipped: number;
}

/** Writes all of `lines`, or rejects; then the same lines may be imported again. */
export async function importClones(
  kv: Kv,
  lines: readonly CloneLine[],
  options: { readonly now: () => number; readonly keptDays: number },
  signal?: AbortSignal,
): Promise<Imported> {
  const today = dayOf(options.now());
  const oldest = addDays(today, -options.keptDays);
  const text = lines.map(({ repo, day, clones }) => `${day} ${clones} ${repo}\n`).join('');
  const instance = `i${sha1HexOf(new TextEncoder().encode(text))}`;
  const own = new OwnCounts({ maxCells: Infinity });
  let clones = 0;
  let taken = 0;
  for (const line of lines) {
    if (line.day < oldest || line.day > today) continue;
    own.add({ kind: 'clones', day: line.day, repo: line.repo, field: CLONES }, line.clones);
    taken++;
    clones += line.clones;
  }
  await flushCounts({ kv, own, instance, now: options.now }, signal);
  return { lines: taken, clones, skipped: lines.length - taken };
}

function parseObject(text: string, number: number): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw wrongLine(number, 'it is no JSON');
  }
  if (typeof value !== 'object' || value === null) throw wrongLine(number, 'it is no object');
  return value as Record<string, unknown>;
}

function wrongLine(number: number, problem: string): HotpackError {
  return new HotpackError('invalid_argument', `line ${number}: ${problem}`, { detail: { line: number } });
}
