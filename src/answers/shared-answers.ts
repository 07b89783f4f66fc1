/**
 * Answers in the making, by canonical key: who asks what is already on its way from upstream follows that stream
 * instead of causing another one. A finished answer lingers, so that those who come while the mirror is
 * still being filled are served from it too; then its bytes are removed.
 *
 * Bounded: `maxBytes` over all spools. Where it is reached, finished answers that nobody reads go first, and what
 * is asked then is not shared.
 */
import type { Storage } from '../storage/contract.ts';
import type { Failure, Refused } from '../upstream/contract.ts';
import type { PackAnswer } from '../upstream/fetch-pack.ts';
import type { Follower } from './shared-answer.ts';
import { SharedAnswer } from './shared-answer.ts';

export interface SharedAnswersOptions {
  readonly storage: Storage;
  readonly maxBytes: number;
  /** How long a finished answer waits for another follower. */
  readonly lingerMs: number;
  readonly onSpoolFailed: (error: unknown) => void;
}

/** `began`: this call caused the upstream request. */
export type Joined =
  | { readonly kind: 'following'; readonly follower: Follower; readonly began: boolean }
  | Refused
  | Failure;
export type Begin = (signal: AbortSignal) => Promise<PackAnswer | Refused | Failure>;

interface Entry {
  readonly opening: Promise<SharedAnswer | Refused | Failure>;
  shared: SharedAnswer | undefined;
  linger: ReturnType<typeof setTimeout> | undefined;
}

export class SharedAnswers {
  readonly #options: SharedAnswersOptions;
  readonly #entries = new Map<string, Entry>();

  constructor(options: SharedAnswersOptions) {
    this.#options = options;
  }

  /**
   * Follows the answer under `key`, or begins one. A failure that somebody else's request met is not taken for ours: then
   * `begin` is asked again, once, for ourselves.
   */
  async join(key: string, begin: Begin): Promise<Joined> {
    const present = this.#entries.get(key);
    if (present === undefined) return this.#begin(key, begin);
    const opened = await present.opening.catch(() => undefined);
    if (opened instanceof SharedAnswer) {
      if (!opened.canJoin) return this.#begin(key, begin);
      clearTimeout(present.linger);
      return { kind: 'following', follower: this.#follow(key, present, opened), began: false };
    }
    return opened === undefined || opened.kind === 'denied' ? this.#begin(key, begin) : opened;
  }

  /** True while an answer under this key is under way or lingers. */
  has(key: string): boolean {
    return this.#entries.get(key)?.shared?.canJoin ?? this.#entries.has(key);
  }

  /** Bytes in all spools. */
  get bytes(): number {
    let sum = 0;
    for (const entry of this.#entries.values()) sum += entry.shared?.bytes ?? 0;
    return sum;
  }

  /** Ends what is under way; followers see their streams fail. */
  async close(): Promise<void> {
    const entries = [...this.#entries.entries()];
    await Promise.all(entries.map(([key, entry]) => this.#remove(key, entry)));
  }

  async #begin(key: string, begin: Begin): Promise<Joined> {
    this.#makeRoom();
    const abort = new AbortController();
    const entry: Entry = { opening: this.#open(begin, abort), shared: undefined, linger: undefined };
    // Of two that begin under one key at once the later one is found by those who come; both are served.
    this.#entries.set(key, entry);
    try {
      const opened = await entry.opening;
      if (!(opened instanceof SharedAnswer)) {
        if (this.#entries.get(key) === entry) this.#entries.delete(key);
        return opened;
      }
      entry.shared = opened;
      const follower = this.#follow(key, entry, opened);
      void opened.pump(this.#options.onSpoolFailed).then(() => this.#settle(key, entry, opened));
      return { kind: 'following', follower, began: true };
    } catch (error) {
      if (this.#entries.get(key) === entry) this.#entries.delete(key);
      throw error;
    }
  }

  async #open(begin: Begin, abort: AbortController): Promise<SharedAnswer | Refused | Failure> {
    const answer = await begin(abort.signal);
    if (answer.kind !== 'pack') return answer;
    try {
      const spool = await this.#options.storage.openWriter(`answers/spool-${crypto.randomUUID()}`);
      return new SharedAnswer(answer, spool, abort);
    } catch (error) {
      abort.abort(error);
      throw error;
    }
  }

  #follow(key: string, entry: Entry, shared: SharedAnswer): Follower {
    const follower = shared.follow();
    return {
      ...follower,
      leave: () => {
        follower.leave();
        this.#settle(key, entry, shared);
      },
      chunks: (signal) => this.#followChunks({ key, entry, shared, follower }, signal),
    };
  }

  async *#followChunks(
    following: {
      readonly key: string;
      readonly entry: Entry;
      readonly shared: SharedAnswer;
      readonly follower: Follower;
    },
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      yield* following.follower.chunks(signal);
    } finally {
      this.#settle(following.key, following.entry, following.shared);
    }
  }

  /** After each change of followers or state: lets a finished answer linger, and removes what is of no use. */
  #settle(key: string, entry: Entry, shared: SharedAnswer): void {
    if (shared.followers > 0 || shared.isStreaming) return;
    clearTimeout(entry.linger);
    if (shared.canJoin && this.#entries.get(key) === entry) {
      entry.linger = setTimeout(() => void this.#remove(key, entry), this.#options.lingerMs);
    } else {
      void this.#remove(key, entry);
    }
  }

  async #remove(key: string, entry: Entry): Promise<void> {
    clearTimeout(entry.linger);
    if (this.#entries.get(key) === entry) this.#entries.delete(key);
    await entry.shared?.discard();
  }

  #makeRoom(): void {
    for (const [key, entry] of this.#entries) {
      if (this.bytes < this.#options.maxBytes) return;
      if (entry.shared !== undefined && entry.shared.followers === 0) void this.#remove(key, entry);
    }
  }
}
