/**
 * What became of warming, told from those who do it to those who ask, where each is an event of its own that may run anywhere
 * (Workers): one object says when the last pass was and whom it handed over, and one for each repository what became of it last.
 * So each is written by one alone, and nobody waits for his turn at a document that all would write.
 */
import { createDeadline } from '../../bytes/abort.ts';
import type { Storage } from '../../storage/contract.ts';
import type { PassOutcome, PassState, WarmedRepository } from '../contract.ts';

const PASS_KEY = 'jobs/warm/pass';
const OUTCOMES = 'jobs/warm/outcomes/';
const MAX_BYTES = 1024 * 1024;
/** Of one pass; each costs a request to the store. */
const MAX_TOLD = 500;
const READ_AT_ONCE = 6;
const READ_TIMEOUT_MS = 20_000;
/** What has not ended by then was killed, or failed every time that it was tried. */
const LONGEST_MS = 60 * 60_000;

/** Times in milliseconds since the epoch. */
export interface PassNote {
  readonly startedAtMs: number;
  /** Undefined: it runs, or was killed. */
  readonly endedAtMs?: number;
  readonly outcome?: PassOutcome;
  /** `Repository.key`s, in the order in which they were handed over. */
  readonly handedOver: readonly string[];
}

export interface OutcomeNote extends WarmedRepository {
  readonly endedAtMs: number;
}

export async function writePass(storage: Pick<Storage, 'put'>, note: PassNote): Promise<void> {
  await storage.put(PASS_KEY, encode({ ...note, handedOver: note.handedOver.slice(0, MAX_TOLD) }));
}

/** `key`: `Repository.key`. Whoever skipped what another one has done since `askedAtMs` leaves that one's word. */
export async function writeOutcome(
  storage: Pick<Storage, 'put' | 'readAll'>,
  note: OutcomeNote,
  { key, askedAtMs }: { readonly key: string; readonly askedAtMs: number },
): Promise<void> {
  if (note.status === 'skipped' && ((await readOutcome(storage, key))?.endedAtMs ?? 0) >= askedAtMs) return;
  await storage.put(`${OUTCOMES}${key}`, encode(note));
}

/** What became of it last; undefined where nothing did. Rejects where the store fails. */
export async function readOutcome(
  storage: Pick<Storage, 'readAll'>,
  key: string,
  signal?: AbortSignal,
): Promise<OutcomeNote | undefined> {
  return read<OutcomeNote>(storage, `${OUTCOMES}${key}`, signal);
}

/** Rejects where the store fails. */
export async function readReport(storage: Pick<Storage, 'readAll'>, nowMs: number): Promise<PassState> {
  const deadline = createDeadline({ timeoutMs: READ_TIMEOUT_MS, operation: 'the report of warming' });
  try {
    const pass = await read<PassNote>(storage, PASS_KEY, deadline.signal);
    if (pass === undefined) {
      return { running: false, startedAtMs: undefined, endedAtMs: undefined, outcome: undefined, repos: [] };
    }
    const outcomes = await outcomesOf(storage, pass, deadline.signal);
    const isOverdue = nowMs - pass.startedAtMs >= LONGEST_MS;
    const isDone = pass.endedAtMs !== undefined && outcomes.length === pass.handedOver.length;
    const endedAtMs = Math.max(pass.endedAtMs ?? pass.startedAtMs, ...outcomes.map((one) => one.endedAtMs));
    return {
      running: !isDone && !isOverdue,
      startedAtMs: pass.startedAtMs,
      endedAtMs: isDone || isOverdue ? endedAtMs : undefined,
      outcome: isDone ? pass.outcome : isOverdue ? (pass.outcome ?? 'aborted') : undefined,
      repos: outcomes.map(resultOf),
    };
  } finally {
    deadline.dispose();
  }
}

export function resultOf({ repo, path, status, ms, error }: OutcomeNote): WarmedRepository {
  return { repo, path, status, ms, ...(error === undefined ? {} : { error }) };
}

/** In the order in which they ended. */
async function outcomesOf(
  storage: Pick<Storage, 'readAll'>,
  { startedAtMs, handedOver }: PassNote,
  signal: AbortSignal,
): Promise<OutcomeNote[]> {
  const found: OutcomeNote[] = [];
  const queue = handedOver.values();
  const readers = Array.from({ length: READ_AT_ONCE }, async () => {
    for (const key of queue) {
      // oxlint-disable-next-line no-await-in-loop -- each reader has one at a time
      const outcome = await readOutcome(storage, key, signal);
      if (outcome !== undefined && outcome.endedAtMs >= startedAtMs) found.push(outcome);
    }
  });
  await Promise.all(readers);
  return found.toSorted((left, right) => left.endedAtMs - right.endedAtMs);
}

async function read<T>(storage: Pick<Storage, 'readAll'>, key: string, signal?: AbortSignal): Promise<T | undefined> {
  const found = await storage.readAll(key, MAX_BYTES, signal);
  if (found.kind === 'absent') return undefined;
  try {
    return JSON.parse(new TextDecoder().decode(found.bytes)) as T;
  } catch {
    return undefined;
  }
}

function encode(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}
