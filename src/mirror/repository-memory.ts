/**
 * What is remembered of one repository between requests: values alone. A process that lives on keeps it inside its one
 * `Mirror`; where requests must not wait for each other (Workers) every request has a `Mirror` of its own, and this is all
 * they share: no promise, no timer, no signal, nothing open.
 *
 * Memory: two lists of refs, and at most 4,096 object names each way.
 */
import type { Oid } from '../bytes/oid.ts';
import type { RefsSnapshot } from '../protocol/refs-snapshot.ts';
import { Backoff } from './fetching/backoff.ts';
import { BoundaryCheck } from './refs/boundary-check.ts';
import { createRefsMemory, type RefsMemory } from './refs/refs-ledger.ts';

export interface CopyMemory {
  /** Who can read the repository, as anonymous requests told last. */
  seen: 'public' | 'private' | undefined;
  /** When the manifest was last replaced by a publication of ours. */
  publishedAtMs: number;
}

export function createCopyMemory(): CopyMemory {
  return { seen: undefined, publishedAtMs: Number.NEGATIVE_INFINITY };
}

export interface WantsMemory {
  /** Upstream's no, and until when it is repeated. */
  readonly refused: Map<Oid, { readonly untilMs: number; readonly message: string }>;
  /** When upstream last gave an object that no ref of it reaches. */
  readonly confirmedAtMs: Map<Oid, number>;
}

export interface LimitMemory {
  /** When it was last found larger than it may be. */
  brokenAtMs: number;
}

export interface AdvertisedMemory {
  /** What lies in the store, as far as we wrote or read it. */
  stored: RefsSnapshot | undefined;
  /** True once what lies there was read. */
  isRead: boolean;
}

export class RepositoryMemory {
  readonly refs: RefsMemory = createRefsMemory();
  readonly copy: CopyMemory = createCopyMemory();
  readonly wants: WantsMemory = { refused: new Map(), confirmedAtMs: new Map() };
  readonly advertised: AdvertisedMemory = { stored: undefined, isRead: false };
  readonly limit: LimitMemory = { brokenAtMs: Number.NEGATIVE_INFINITY };
  readonly boundary: BoundaryCheck;
  readonly backoff: Backoff;
  pushedAtMs: number = Number.NEGATIVE_INFINITY;
  /** When a client was last answered from the mirror, and when that was last written. */
  usedAtMs: number | undefined;
  useNotedAtMs: number = Number.NEGATIVE_INFINITY;
  /** When a client last asked for refs. */
  askedAtMs: number | undefined;
  /** The last work on it that was handed over (`MirrorServices.handOver`), and the refs as they were known then. */
  handedOver:
    | { readonly atMs: number; readonly refs: RefsSnapshot | undefined; readonly wants: readonly Oid[] }
    | undefined;

  constructor(options: { readonly now: () => number; readonly refCheckIntervalMs: number }) {
    this.boundary = new BoundaryCheck({ now: options.now, intervalMs: options.refCheckIntervalMs });
    this.backoff = new Backoff(options.now);
  }
}
