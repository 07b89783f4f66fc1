/**
 * What is asked of an open store that takes a processor and not the network. Questions and answers are plain data (structured
 * clone) and packs come as chunks, so that all of it can be done in another thread; `work-in-place.ts` is what does it.
 */
import type { Oid } from '../../bytes/oid.ts';
import type { SelectionQuery } from '../selection.ts';
import type { WholeSet } from '../writing/whole-set.ts';

export interface StoreWork {
  /** Selects and writes. Rejects as `selectObjects` does; its chunks fail as those of `streamPack` do. */
  makePack(asked: AskedPack, signal: AbortSignal): Promise<PackInMaking>;
  /** Rejects with `missing_object`, `malformed_pack`, `limit_exceeded`, `aborted`. */
  ask<Q extends StoreQuestion>(question: Q, signal: AbortSignal): Promise<StoreAnswer<Q>>;
  /** A bitmap may have come to lie beside a pack: who asks next looks again. */
  forgetBitmap(): void;
}

export interface AskedPack {
  readonly query: SelectionQuery;
  /** The client takes deltas that name their base by its distance. */
  readonly ofsDelta: boolean;
}

/** What is known of a pack before its first byte. */
export interface PackHead {
  /** As in `Selection`. */
  readonly shallow: readonly Oid[];
  readonly unshallow: readonly Oid[];
  readonly objects: number;
  /** Tags of the query's `includeTags` that go along. */
  readonly addedTags: readonly Oid[];
  /** Objects whose content or size was asked for to select them. */
  readonly walked: number;
  /** Where the pack is nothing but whole packs that are copied. */
  readonly whole: WholeSet | undefined;
}

/** What is known once its last byte was read. */
export interface PackEnd {
  /** Objects put together and deflated. */
  readonly deflated: number;
  /** That of the head with its checksum. */
  readonly whole: WholeSet | undefined;
}

export interface PackInMaking {
  readonly head: PackHead;
  /** To be iterated once, to its end or left early. The chunks are the taker's; what it returns comes with the last of them. */
  readonly chunks: AsyncGenerator<Uint8Array, PackEnd, undefined>;
  /** Ends the making. To be called also where the chunks were not, or not all, read. Idempotent. */
  close(): void;
}

interface StoreQuestions {
  /** Where a fetch moves the client's boundary to. */
  readonly boundary: {
    readonly question: { readonly kind: 'boundary'; readonly query: SelectionQuery };
    readonly answer: { readonly shallow: readonly Oid[]; readonly unshallow: readonly Oid[] };
  };
  /** Whether the store has bitmaps, looked for anew. */
  readonly bitmapped: { readonly question: { readonly kind: 'bitmapped' }; readonly answer: boolean };
  /** As `isReady`. */
  readonly ready: {
    readonly question: { readonly kind: 'ready'; readonly wants: readonly Oid[]; readonly common: readonly Oid[] };
    readonly answer: boolean;
  };
  /** As `reachesAll`. */
  readonly reached: {
    readonly question: { readonly kind: 'reached'; readonly tips: readonly Oid[]; readonly targets: readonly Oid[] };
    readonly answer: ReadonlySet<Oid>;
  };
  /** Those of `targets` that are one of `roots` or anything below it. Asked again with the same roots it walks no more. */
  readonly below: {
    readonly question: { readonly kind: 'below'; readonly roots: readonly Oid[]; readonly targets: readonly Oid[] };
    readonly answer: ReadonlySet<Oid>;
  };
}

export type StoreQuestion = StoreQuestions[keyof StoreQuestions]['question'];
export type StoreAnswer<Q extends StoreQuestion> = StoreQuestions[Q['kind']]['answer'];
