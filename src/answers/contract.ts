/** The pack cache as a request uses it: what it is asked, and what it gives. */
import type { PackSource, Follower } from './shared-answer.ts';
import type { Failure, Refused } from '../upstream/contract.ts';
import type { AnswerQuestion } from './answer-key.ts';
import type { StoredAnswer } from './stored/stored-answers.ts';

/** A pack in the making, and what it has cost. */
export interface Made extends PackSource {
  readonly kind: 'pack';
  /** Microseconds; what is known before the first chunk, and in the end with the length of the pack. */
  readonly costUs: (packBytes: number) => number;
  readonly objects: () => number;
  /** Where the question has tags: names those that are added. */
  readonly variant?: string;
}

export type Make = (signal: AbortSignal) => Promise<Made | Refused | Failure>;

export interface Asking {
  readonly question: AnswerQuestion;
  readonly make: Make;
  /** What else the answer depends on that cannot be known before: then it is shared only while it is made. */
  readonly alsoDependsOn?: string;
  /** True: nobody asks yet, but others will. It is stored at once, and makes no room for itself at the cost of what is asked for. */
  readonly isExpected?: boolean;
}

export type Joined =
  | {
      readonly kind: 'following';
      readonly follower: Follower;
      /** True: this call caused the making. */
      readonly began: boolean;
      /** Follows the same answer once more; undefined where it can no longer be had from its first byte. */
      readonly again: () => Follower | undefined;
    }
  | { readonly kind: 'stored'; readonly answer: StoredAnswer }
  | Refused
  | Failure;

export interface AnswerCache {
  /** Of an answer that nobody has asked for yet. */
  readonly maxExpectedBytes: number;
  /** False where nobody else would be given what is made: then upstream's own answer need not be taken apart. */
  takes(asking: Pick<Asking, 'question' | 'alsoDependsOn'>): boolean;
  /** The stored answer, to be released. Never rejects. */
  find(question: AnswerQuestion): Promise<StoredAnswer | undefined>;
  /**
   * Follows the answer in the making, or begins to make it; rejects with `aborted` where the signal fires before its first word. A no
   * that somebody else's request met is not taken for ours: then `make` is asked again, once, for ourselves.
   */
  join(asking: Asking, signal?: AbortSignal): Promise<Joined>;
}

export interface AnswerCaches {
  /** For the request that `keepAlive` belongs to, where the runtime ends with its requests. `keepAlive` takes what never rejects. */
  of(keepAlive?: (work: Promise<unknown>) => void): AnswerCache;
}
