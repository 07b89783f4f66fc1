/**
 * Whether an object that is here may be given away (DESIGN 2): what upstream no longer shows must not live on here.
 *
 * As long as every tip that was ever published is still reached by an advertised ref, everything here is, and nothing is
 * walked. Otherwise commits are looked for from the advertised tips; what that does not settle (trees, blobs) is
 * looked up in the exact closure of the advertised tips and of what upstream confirmed lately, made once for each
 * state of packs and refs (1 bit an object).
 */
import type { Oid } from '../../bytes/oid.ts';
import type { RefsSnapshot } from '../../protocol/refs-snapshot.ts';
import type { Stray } from '../catalog/manifest.ts';
import { advertisedOids } from '../refs/tips.ts';
import type { MirrorSnapshot } from '../copy/snapshot.ts';

/** How long upstream's yes to one object name is believed. */
const CONFIRMED_MS = 60 * 60 * 1000;

export interface ServableQuestion {
  readonly snapshot: MirrorSnapshot;
  /** All of them in the snapshot. */
  readonly wants: readonly Oid[];
  /** Upstream's refs as last known. */
  readonly advertised: RefsSnapshot;
  /** Objects that upstream confirmed, and when, beside those of the manifest. */
  readonly confirmedAtMs: ReadonlyMap<Oid, number>;
  readonly nowMs: number;
  readonly signal: AbortSignal;
}

/** Whether upstream's yes to it is still believed. */
export function isYoung(stray: Stray, nowMs: number): boolean {
  return nowMs - stray.confirmedAtMs < CONFIRMED_MS;
}

/** Those of `wants` that upstream must confirm before they may be served. */
export async function unconfirmedWants(question: ServableQuestion): Promise<readonly Oid[]> {
  const { snapshot, advertised, confirmedAtMs, nowMs, signal } = question;
  const { store, work } = snapshot;
  const shown = advertisedOids(advertised);
  const isConfirmed = (oid: Oid): boolean => nowMs - (confirmedAtMs.get(oid) ?? 0) < CONFIRMED_MS;
  const open = question.wants.filter((oid) => !shown.has(oid) && !isConfirmed(oid));
  if (open.length === 0) return open;

  const { strays } = snapshot.manifest;
  if (strays.length === 0 && !hasLetGo(snapshot.held, advertised)) return [];
  const young = strays.filter((stray) => isYoung(stray, nowMs)).map((stray) => stray.oid);
  const asked = open.filter((oid) => !young.includes(oid));
  if (asked.length === 0) return asked;

  const tips = [...shown].filter((oid) => store.find(oid) >= 0);
  const reached = await work.ask({ kind: 'reached', tips, targets: asked }, signal);
  const left = asked.filter((oid) => !reached.has(oid));
  if (left.length === 0) return left;

  const roots = [...new Set([...tips, ...young.filter((oid) => store.find(oid) >= 0)])];
  const below = await work.ask({ kind: 'below', roots, targets: left }, signal);
  return left.filter((oid) => !below.has(oid));
}

const letGoBy = new WeakMap<RefsSnapshot, { readonly advertised: RefsSnapshot; readonly hasLetGo: boolean }>();

/** True where something held is shown no more. Looked through once for each pair of snapshots. */
function hasLetGo(held: RefsSnapshot, advertised: RefsSnapshot): boolean {
  const present = letGoBy.get(held);
  if (present?.advertised === advertised) return present.hasLetGo;
  const shown = advertisedOids(advertised);
  const answer = held !== advertised && [...advertisedOids(held)].some((oid) => !shown.has(oid));
  letGoBy.set(held, { advertised, hasLetGo: answer });
  return answer;
}
