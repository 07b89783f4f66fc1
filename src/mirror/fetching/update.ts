/**
 * Brings a mirror that is here up to what upstream shows: one fetch for the tips that are missing, with our tips as haves,
 * then the refs. And the same for objects that somebody asked for by hash.
 */
import { raceSignal, whileWorking } from '../../bytes/abort.ts';
import { HotpackError } from '../../bytes/error.ts';
import type { Oid } from '../../bytes/oid.ts';
import { OBJ_COMMIT } from '../../pack/codec/object-type.ts';
import { closure } from '../../pack/walk/reachable.ts';
import type { RefsSnapshot } from '../../protocol/refs-snapshot.ts';
import { failureOf } from '../../upstream/failure.ts';
import { fetchPack, ownFetch } from '../../upstream/fetch-pack.ts';
import type { Publication } from '../catalog/edits.ts';
import type { PackClass, Stray } from '../catalog/manifest.ts';
import { takeIn } from '../ingest/take-in.ts';
import type { LocalCopy } from '../copy/local-copy.ts';
import { missingOf } from '../copy/local-copy.ts';
import { heldOf } from '../refs/held-refs.ts';
import { advertisedOids, branchTips, sameRefs } from '../refs/tips.ts';
import type { Asker, MirrorContext } from '../services.ts';
import { giveUpMirror, withinLimit } from './size-limit.ts';
import type { MirrorSnapshot } from '../copy/snapshot.ts';
import { isInBranches } from '../copy/snapshot.ts';

/** Upstream needs few haves to find what is common: tips, newest questions first. */
const MAX_HAVES = 256;
/** Objects that no ref reaches are forgotten oldest first beyond this; they are fetched again where asked for. */
const MAX_STRAYS = 4096;
/** A fetch that ended too late is made once more, so often in all. */
const MOST_TRIES = 3;

/**
 * `replaced`: what upstream shows has nothing in common with what is here; the mirror was emptied. `too_large`: it would be, and
 * has gone.
 */
export type UpdateOutcome = 'current' | 'fetched' | 'replaced' | 'absent' | 'too_large';

export interface UpdateRequest {
  readonly refs: RefsSnapshot;
  readonly asker: Asker;
  /** Told of the bytes of the pack as they come. */
  readonly onBytes: (bytes: number) => void;
}

/** Fetches what `refs` (branches and tags, and whatever other refs are here) names and is missing, then takes over the refs. */
export async function runUpdate(
  context: MirrorContext,
  update: UpdateRequest,
  signal: AbortSignal,
): Promise<UpdateOutcome> {
  const outcome = await whilePacksStay(() => updateNow(context, update, signal));
  // When nobody here reads it any more for the update's sake.
  if (outcome === 'too_large') await giveUpMirror(context);
  return outcome;
}

/** `stale`: the packs that it started from were written anew meanwhile, and nothing came of it. */
type Tried<T> = T | 'stale';

async function updateNow(
  context: MirrorContext,
  update: UpdateRequest,
  signal: AbortSignal,
): Promise<Tried<UpdateOutcome>> {
  const { copy } = context;
  const before = await latestSnapshot(copy, branchTips(update.refs), signal);
  if (before === undefined) return 'absent';
  try {
    const missing = missingOf(before, branchTips(update.refs));
    if (missing.length > 0) {
      const { asker, onBytes } = update;
      // Tips that came for another reason come once more with what is missing, so that branches need no other packs.
      const wants = branchTips(update.refs).filter((oid) => !isInBranches(before, oid));
      const fetched = await fetchInto(context, { before, wants, class: 'branches', asker, onBytes }, signal);
      if (fetched !== 'fetched') return fetched;
    }
    const after = await copy.snapshot(signal);
    if (after === undefined) return 'absent';
    try {
      if (missing.length > 0 && (await isReplaced(before, after, update.refs, signal))) {
        await copy.reset(update.asker.visibility);
        return 'replaced';
      }
      const held = heldOf(update.refs, (oid) => after.store.find(oid) >= 0);
      await noteStrays(context, after, update.refs, signal);
      if (!sameRefs(held, before.held)) await copy.writeHeld(held);
      await copy.collectGarbage();
      return missing.length > 0 ? 'fetched' : 'current';
    } finally {
      after.release();
    }
  } finally {
    before.release();
  }
}

/**
 * Fetches `wants` by hash, whatever refs say. Afterwards they are here, with all that they reach. Rejects with
 * `upstream_refused` where upstream would not. `too_large`: with them the mirror would be, and it has gone.
 */
export async function fetchWants(
  context: MirrorContext,
  request: WantsRequest,
  signal: AbortSignal,
): Promise<'fetched' | 'absent' | 'too_large'> {
  const outcome = await whilePacksStay(() => fetchWantsNow(context, request, signal));
  if (outcome === 'too_large') await giveUpMirror(context);
  return outcome;
}

interface WantsRequest {
  readonly wants: readonly Oid[];
  readonly asker: Asker;
  /** Told of the bytes of the pack as they come. */
  readonly onBytes: (bytes: number) => void;
}

async function fetchWantsNow(
  context: MirrorContext,
  request: WantsRequest,
  signal: AbortSignal,
): Promise<Tried<'fetched' | 'absent' | 'too_large'>> {
  const before = await latestSnapshot(context.copy, request.wants, signal);
  if (before === undefined) return 'absent';
  try {
    const wants = missingOf(before, request.wants);
    if (wants.length === 0) return 'fetched';
    const confirmedAtMs = context.services.now();
    const strays = wants.map((oid) => ({ oid, confirmedAtMs }));
    const { asker, onBytes } = request;
    return await fetchInto(context, { before, wants, class: 'others', asker, strays, onBytes }, signal);
  } finally {
    before.release();
  }
}

/** Tries again from what there is then where packs were written anew. Rejects with `storage_unavailable` where that happens each time. */
async function whilePacksStay<T>(work: () => Promise<Tried<T>>): Promise<T> {
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    // oxlint-disable-next-line no-await-in-loop -- each try starts from what the last one lost to
    const outcome = await work();
    if (outcome !== 'stale') return outcome;
  }
  throw new HotpackError('storage_unavailable', 'the packs of a mirror were written anew at every try to add one', {
    detail: { tries: MOST_TRIES },
  });
}

/** One that holds `oids`, or is what the store has now: another process may have fetched them. */
async function latestSnapshot(
  copy: LocalCopy,
  oids: readonly Oid[],
  signal: AbortSignal,
): Promise<MirrorSnapshot | undefined> {
  const snapshot = await copy.snapshot(signal);
  if (snapshot === undefined || missingOf(snapshot, oids).length === 0) return snapshot;
  if (!(await raceSignal(copy.refresh(), signal).catch(() => false))) return snapshot;
  snapshot.release();
  return copy.snapshot(signal);
}

async function fetchInto(
  context: MirrorContext,
  request: {
    readonly before: MirrorSnapshot;
    readonly wants: readonly Oid[];
    /** Of the pack to come. */
    readonly class: PackClass;
    readonly asker: Asker;
    readonly strays?: readonly Stray[];
    readonly onBytes: (bytes: number) => void;
  },
  signal: AbortSignal,
): Promise<Tried<'fetched' | 'too_large'>> {
  const { copy, services, repository, limit } = context;
  const { before, wants, asker, onBytes, strays = [] } = request;
  const leansOn = before.manifest.packs.filter((pack) => request.class === 'others' || pack.class === 'branches');
  const existing = leansOn.map((pack) => pack.name);
  const haves = havesOf(before).filter((oid) => request.class === 'others' || isInBranches(before, oid));
  const guard = limit.guard(before.manifest.packs);
  const taking = whileWorking(signal, async (own) => {
    const answer = await fetchPack(services.upstream, repository, ownFetch(wants, haves.slice(0, MAX_HAVES)), {
      credential: asker.credential,
      capabilities: asker.capabilities,
      signal: own,
      purpose: 'update',
    });
    if (answer.kind !== 'pack') throw failureOf(answer);
    const chunks = guard.watch(answer.chunks, onBytes);
    return takeIn(context, { chunks, existing, tips: wants, class: request.class }, own);
  });
  const pack = await withinLimit(guard, taking);
  if (typeof pack === 'string') return 'too_large';
  const publication: Publication = {
    ...(pack === undefined ? {} : { pack }),
    builtOn: existing,
    strays: (current) => [...current, ...strays].slice(-MAX_STRAYS),
    visibility: asker.visibility,
  };
  return (await copy.publish(publication, signal)) === 'stale' ? 'stale' : 'fetched';
}

function havesOf(snapshot: MirrorSnapshot): Oid[] {
  const { head, refs } = snapshot.held;
  const haves = new Set<Oid>();
  if (head.kind === 'symref' || head.kind === 'detached') haves.add(head.oid);
  const branches = refs.filter((ref) => ref.name.startsWith('refs/heads/'));
  const others = refs.filter((ref) => !ref.name.startsWith('refs/heads/'));
  for (const ref of [...branches, ...others.toReversed()]) haves.add(ref.peeled ?? ref.oid);
  return [...haves];
}

/** Remembers tips that upstream showed once and no longer reaches, forgets those that it reaches again. */
async function noteStrays(
  context: MirrorContext,
  snapshot: MirrorSnapshot,
  refs: RefsSnapshot,
  signal: AbortSignal,
): Promise<void> {
  const { store, work, manifest, held } = snapshot;
  const shown = advertisedOids(refs);
  const strays = new Map<Oid, number>();
  for (const oid of advertisedOids(held)) strays.set(oid, 0);
  for (const stray of manifest.strays) strays.set(stray.oid, stray.confirmedAtMs);
  for (const oid of strays.keys()) if (shown.has(oid) || store.find(oid) < 0) strays.delete(oid);
  if (strays.size > 0) {
    const tips = [...shown].filter((oid) => store.find(oid) >= 0);
    const targets = [...strays.keys()];
    for (const oid of await work.ask({ kind: 'reached', tips, targets }, signal)) strays.delete(oid);
  }
  const next = [...strays].map(([oid, confirmedAtMs]) => ({ oid, confirmedAtMs }));
  const unchanged = JSON.stringify(next) === JSON.stringify(manifest.strays);
  if (unchanged) return;
  const publication: Publication = {
    builtOn: [],
    strays: () => next.slice(-MAX_STRAYS),
    visibility: manifest.visibility,
  };
  await context.copy.publish(publication, signal);
}

/** True where no commit that upstream's tips reach was here before: another repository has taken the name. */
async function isReplaced(
  before: MirrorSnapshot,
  after: MirrorSnapshot,
  refs: RefsSnapshot,
  signal: AbortSignal,
): Promise<boolean> {
  const tips = branchTips(refs);
  if (tips.some((oid) => before.store.find(oid) >= 0)) return false;
  const heldTips = branchTips(before.held);
  if (heldTips.length === 0) return false;
  const reached = await after.work.ask({ kind: 'reached', tips, targets: heldTips }, signal);
  if (reached.size > 0) return false;
  // Commits are what tells a repository: an empty file or a licence is in many.
  const objects = (await closure(after.store, tips, { signal })).toNumbers();
  for (const object of objects) {
    if (before.store.find(after.store.oidOf(object)) < 0) continue;
    // oxlint-disable-next-line no-await-in-loop -- ends at the first one
    if ((await after.store.typeOf(object, signal)) === OBJ_COMMIT) return false;
  }
  return true;
}
