/**
 * Repositories that upstream knows no more: they leave the candidates until somebody is answered about them again. Kept in
 * the store, so that a restart does not ask for them anew; a list that cannot be read or written costs a question each.
 *
 * "Again" is told by the traffic counted from the day on which it was found gone: more than there was then. At most
 * `MAX_GONE`, the oldest are forgotten first.
 */
import type { Storage } from '../storage/contract.ts';

const KEY = 'jobs/warm/gone';
const MAX_GONE = 2_000;
const MAX_TRIES = 5;

export interface GoneRepository {
  readonly repo: string;
  readonly goneAtMs: number;
  /** Requests counted on that day until then. */
  readonly asked: number;
}

type Documents = Pick<Storage, 'readDocument' | 'replaceDocument'>;

export async function readGone(storage: Documents, signal?: AbortSignal): Promise<readonly GoneRepository[]> {
  const found = await storage.readDocument(KEY, signal);
  return found.kind === 'absent' ? [] : parse(found.bytes);
}

/** Adds and removes. Rejects where the store fails. */
export async function changeGone(
  storage: Documents,
  change: { readonly add: readonly GoneRepository[]; readonly remove: readonly string[] },
  signal?: AbortSignal,
): Promise<void> {
  if (change.add.length + change.remove.length === 0) return;
  const out = new Set([...change.remove, ...change.add.map((one) => one.repo)]);
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    // oxlint-disable-next-line no-await-in-loop -- looks again at what won
    const found = await storage.readDocument(KEY, signal);
    const before = found.kind === 'absent' ? [] : parse(found.bytes);
    const after = [...before.filter((one) => !out.has(one.repo)), ...change.add].slice(-MAX_GONE);
    const bytes = new TextEncoder().encode(JSON.stringify({ repos: after, nonce: crypto.randomUUID() }));
    const expected = found.kind === 'absent' ? 'absent' : found.version;
    // oxlint-disable-next-line no-await-in-loop
    const outcome = await storage.replaceDocument(KEY, bytes, expected, signal);
    if (outcome.kind === 'replaced') return;
  }
}

function parse(bytes: Uint8Array): GoneRepository[] {
  try {
    const { repos } = JSON.parse(new TextDecoder().decode(bytes)) as { readonly repos?: unknown };
    return Array.isArray(repos) ? repos.filter(isGone) : [];
  } catch {
    return [];
  }
}

function isGone(value: unknown): value is GoneRepository {
  if (typeof value !== 'object' || value === null) return false;
  const { repo, goneAtMs, asked } = value as Record<string, unknown>;
  return typeof repo === 'string' && typeof goneAtMs === 'number' && typeof asked === 'number';
}
