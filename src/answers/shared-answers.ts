/**
 * Answers in the making, by canonical key: who asks what is already on its way from upstream follows that stream
 * instead of causing another one. A finished answer lingers, so that those who come while the mirror is
 * still being filled are served from it too; then its bytes are removed.
 *
 * Bounded: `maxBytes` over all spools. Where it is reached, finished answers that nobody reads go first, and what
 * is asked then is not shared. Memory: `memoryBytes` over all answers that are being read, and a chunk of each follower.
 */
import { abortError, raceSignal } from '../bytes/abort.ts';
import { HotpackError } from '../bytes/error.ts';
import type { Storage } from '../storage/contract.ts';
import type { Failure, Refused } from '../upstream/contract.ts';
import type { PackAnswer } from '../upstream/fetch-pack.ts';
import type { Follower } from './shared-answer.ts';
import { SharedAnswer } from './shared-answer.ts';

export interface SharedAnswersOptions {
  readonly storage: Storage;
  readonly maxBytes: number;
  /** For the last bytes of the answers that are on their way; each keeps at most 4 MiB. */
  readonly memoryBytes: number;
  /** How long a finished answer waits for another follower. */
  readonly lingerMs: number;
  readonly onSpoolFailed: (error: unknown) => void;
}

export type Joined =
  | {
      readonly kind: 'following';
      readonly follower: Follower;
      /** True: this call caused the upstream request. */
      readonly began: boolean;
      /** Follows the same answer once more; undefined where it can no longer be had from its first byte. */
      readonly again: () => Follower | undefined;
    }
  | Refused
  | Failure;
export type Begin = (signal: AbortSignal) => Promise<PackAnswer | Refused | Failure>;

interface Entry {
  readonly key: string;
  readonly abort: AbortController;
  opening: Promise<SharedAnswer | Refused | Failure>;
  shared: SharedAnswer | undefined;
  /** Those who wait for upstream's first word. */
  waiting: number;
  isRead: boolean;
  linger: ReturnType<typeof setTimeout> | undefined;
}

const MAX_RECENT_BYTES = 4 * 1024 * 1024;

export class SharedAnswers {
  readonly #options: SharedAnswersOptions;
  /** What can be joined. */
  readonly #byKey = new Map<string, Entry>();
  /** All that are under way or linger, the oldest first. */
  readonly #entries = new Set<Entry>();
  #isClosed = false;

  constructor(options: SharedAnswersOptions) {
    this.#options = options;
  }

  /**
   * Follows the answer under `key`, or begins one; rejects with `aborted` where the signal fires while upstream has not
   * answered. A no that somebody else's request met is not taken for ours: then `begin` is asked again, once, for ourselves.
   */
  async join(key: string, begin: Begin, signal?: AbortSignal): Promise<Joined> {
    let present = this.#byKey.get(key);
    while (present !== undefined) {
      const entry = present;
      // oxlint-disable-next-line no-await-in-loop -- another one may have taken the place of what failed
      const opened = await this.#opened(entry, signal).catch((error: unknown) => {
        if (signal?.aborted === true) throw error;
        return undefined;
      });
      if (opened instanceof SharedAnswer && opened.canJoin) return this.#following(entry, opened, false);
      if (opened !== undefined && !(opened instanceof SharedAnswer)) {
        if (opened.kind === 'denied' || opened.kind === 'throttled') break;
        return opened;
      }
      // What cannot be joined is replaced once, not by each who finds it so.
      present = this.#byKey.get(key);
      if (present === entry) break;
    }
    return this.#begin(key, begin, signal);
  }

  /** Bytes in all spools. */
  get bytes(): number {
    let sum = 0;
    for (const entry of this.#entries) sum += entry.shared?.bytes ?? 0;
    return sum;
  }

  /** Ends what is under way; followers see their streams fail. Nothing is begun from now on. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const closing = [...this.#entries].map(async (entry) => {
      entry.abort.abort(new HotpackError('shutting_down', 'hotpack is shutting down'));
      await entry.opening.catch(() => undefined);
      await this.#remove(entry);
    });
    await Promise.all(closing);
  }

  async #begin(key: string, begin: Begin, signal: AbortSignal | undefined): Promise<Joined> {
    if (this.#isClosed) throw new HotpackError('shutting_down', 'hotpack is shutting down');
    this.#makeRoom();
    const abort = new AbortController();
    const opening = this.#open(begin, abort);
    const entry: Entry = { key, abort, opening, shared: undefined, waiting: 0, isRead: false, linger: undefined };
    this.#entries.add(entry);
    // Where two begin under one key at once the later one is found by those who come; both are served.
    this.#byKey.set(key, entry);
    opening.then(
      (answer) => {
        if (!(answer instanceof SharedAnswer)) return this.#forget(entry);
        entry.shared = answer;
        if (entry.waiting === 0) this.#discard(entry);
      },
      () => this.#forget(entry),
    );
    const opened = await this.#opened(entry, signal);
    return opened instanceof SharedAnswer ? this.#following(entry, opened, true) : opened;
  }

  /** Waits for upstream's first word; when nobody does any more, upstream need not answer. */
  async #opened(entry: Entry, signal: AbortSignal | undefined): Promise<SharedAnswer | Refused | Failure> {
    entry.waiting++;
    try {
      const opened = await raceSignal(entry.opening, signal);
      if (signal?.aborted === true) throw abortError(signal);
      return opened;
    } finally {
      entry.waiting--;
      if (signal?.aborted === true && entry.waiting === 0 && (entry.shared?.followers ?? 0) === 0) {
        entry.abort.abort(new HotpackError('aborted', 'everyone who waited for this answer has left'));
        if (this.#byKey.get(entry.key) === entry) this.#byKey.delete(entry.key);
        if (entry.shared !== undefined) this.#discard(entry);
      }
    }
  }

  async #open(begin: Begin, abort: AbortController): Promise<SharedAnswer | Refused | Failure> {
    const answer = await begin(abort.signal);
    if (answer.kind !== 'pack') return answer;
    try {
      const spool = await this.#options.storage.openWriter(`answers/spool-${crypto.randomUUID()}`);
      const { onSpoolFailed } = this.#options;
      return new SharedAnswer({ answer, spool, abort, onSpoolFailed, recentBytes: () => this.#recentBytes() });
    } catch (error) {
      abort.abort(error);
      throw error;
    }
  }

  /** What one of the answers on their way may keep in memory. */
  #recentBytes(): number {
    let streaming = 0;
    for (const entry of this.#entries) if (entry.shared?.isStreaming === true) streaming++;
    return Math.min(MAX_RECENT_BYTES, this.#options.memoryBytes / Math.max(1, streaming));
  }

  #following(entry: Entry, shared: SharedAnswer, began: boolean): Joined {
    return {
      kind: 'following',
      follower: this.#follow(entry, shared),
      began,
      again: () => (shared.canJoin ? this.#follow(entry, shared) : undefined),
    };
  }

  #follow(entry: Entry, shared: SharedAnswer): Follower {
    clearTimeout(entry.linger);
    const follower = shared.follow();
    // With its first follower, so that it never runs for nobody.
    if (!entry.isRead) {
      entry.isRead = true;
      void shared.pump().then(() => this.#settle(entry, shared));
    }
    return {
      ...follower,
      leave: () => {
        follower.leave();
        this.#settle(entry, shared);
      },
      chunks: (signal) => this.#followChunks({ entry, shared, follower }, signal),
    };
  }

  async *#followChunks(
    following: { readonly entry: Entry; readonly shared: SharedAnswer; readonly follower: Follower },
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      yield* following.follower.chunks(signal);
    } finally {
      this.#settle(following.entry, following.shared);
    }
  }

  /** After each change of followers or state: lets a finished answer linger, and removes what is of no use. */
  #settle(entry: Entry, shared: SharedAnswer): void {
    if (shared.followers > 0 || shared.isStreaming || !this.#entries.has(entry)) return;
    clearTimeout(entry.linger);
    if (shared.canJoin && !this.#isClosed && this.#byKey.get(entry.key) === entry) {
      entry.linger = setTimeout(() => this.#discard(entry), this.#options.lingerMs);
    } else {
      this.#discard(entry);
    }
  }

  #forget(entry: Entry): void {
    this.#entries.delete(entry);
    if (this.#byKey.get(entry.key) === entry) this.#byKey.delete(entry.key);
  }

  async #remove(entry: Entry): Promise<void> {
    clearTimeout(entry.linger);
    this.#forget(entry);
    await entry.shared?.discard();
  }

  #discard(entry: Entry): void {
    this.#remove(entry).catch(this.#options.onSpoolFailed);
  }

  #makeRoom(): void {
    for (const entry of this.#entries) {
      if (this.bytes < this.#options.maxBytes) return;
      if (entry.shared !== undefined && entry.shared.followers === 0) this.#discard(entry);
    }
  }
}
