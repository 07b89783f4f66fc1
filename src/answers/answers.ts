/**
 * The pack cache. An answer is looked for among those that are stored; then among those in the making, which are followed
 * instead of being made once more; else it is made, by whoever asks, for everyone who comes meanwhile.
 *
 * What is made goes into the store while it streams where it cost much, or somebody asked for it before; else it
 * lingers in memory for a while if it is small, and is stored when a second one asks for it. Only a whole one is kept.
 *
 * Memory: `memoryBytes` over all answers in the making, lingering, or stored and asked for again; a run of packets of each
 * follower, and 8,192 keys that were asked for.
 */
import { abortError, raceSignal } from '../bytes/abort.ts';
import { HotpackError } from '../bytes/error.ts';
import type { Storage } from '../storage/contract.ts';
import { BoundedMap } from '../upstream/bounded-map.ts';
import type { Failure, Refused } from '../upstream/contract.ts';
import { isKeptAtOnce, isWorthKeeping } from './answer-cost.ts';
import type { AnswerQuestion } from './answer-key.ts';
import type { AnswerCache, AnswerCaches, Asking, Joined, Made, Make } from './contract.ts';
import { headerOfMade } from './made-header.ts';
import { type Follower, SharedAnswer } from './shared-answer.ts';
import { answerPlace, StoredAnswers, type StoredAnswer } from './stored/stored-answers.ts';

export interface AnswersOptions {
  readonly storage: Storage;
  /** Of all stored answers; 0 stores none. */
  readonly maxBytes: number;
  /**
   * A half for the last bytes of the answers in the making, each at most 4 MiB, a quarter for small ones that linger, a quarter for small
   * ones that are stored and asked for again.
   */
  readonly memoryBytes: number;
  /** How long a finished answer that is not stored waits for another follower. */
  readonly lingerMs: number;
  /** Default: `Date.now`. */
  readonly now?: () => number;
  readonly onEvicted: (count: number) => void;
  /** The store failed; whoever asked is answered all the same. */
  readonly onFailed: (error: unknown) => void;
}

interface Entry {
  readonly key: string;
  readonly question: AnswerQuestion;
  readonly isStorable: boolean;
  readonly wasAskedBefore: boolean;
  readonly isExpected: boolean;
  readonly abort: AbortController;
  opening: Promise<SharedAnswer | Found | Refused | Failure>;
  shared: SharedAnswer | undefined;
  /** Those who wait for the first word. */
  waiting: number;
  isPumped: boolean;
  isForgotten: boolean;
  isKeeping: boolean;
  keeping: Promise<void> | undefined;
  made: Made | undefined;
  linger: ReturnType<typeof setTimeout> | undefined;
}

/** Making it has shown that it is stored. */
interface Found {
  readonly kind: 'found';
  readonly place: string;
}

const MAX_RECENT_BYTES = 4 * 1024 * 1024;
const STREAMING_SHARE = 1 / 2;
const LINGERING_SHARE = 1 / 4;
const HOT_SHARE = 1 / 4;
const MAX_ASKED = 8_192;

export class Answers implements AnswerCache, AnswerCaches {
  readonly #options: AnswersOptions;
  readonly #stored: StoredAnswers;
  /** What can be joined. */
  readonly #byKey = new Map<string, Entry>();
  /** All that are in the making or linger, the oldest first. */
  readonly #entries = new Set<Entry>();
  readonly #asked = new BoundedMap<string, true>(MAX_ASKED);
  #isClosed = false;

  constructor(options: AnswersOptions) {
    this.#options = options;
    const { storage, maxBytes, memoryBytes, now, onEvicted, onFailed } = options;
    const hotBytes = memoryBytes * HOT_SHARE;
    this.#stored = new StoredAnswers({ storage, maxBytes, hotBytes, now, onEvicted, onFailed });
  }

  of(): AnswerCache {
    return this;
  }

  /** Whoever asks meanwhile follows. */
  takes(): boolean {
    return true;
  }

  /** Of what is stored. */
  get bytes(): number {
    return this.#stored.bytes;
  }

  /** How large one may be that nobody has asked for yet. */
  get maxExpectedBytes(): number {
    return this.#stored.maxExpectedBytes;
  }

  /** Finds out what earlier processes have stored; until then it is found one by one. Rejects where the store fails. */
  load(signal?: AbortSignal): Promise<void> {
    return this.#stored.load(undefined, signal);
  }

  find(question: AnswerQuestion): Promise<StoredAnswer | undefined> {
    if (this.#options.maxBytes === 0) return Promise.resolve(undefined);
    const place = answerPlace(question);
    return question.tags === undefined ? this.#stored.find(place) : this.#stored.findWithTags(place, question.tags);
  }

  async join(asking: Asking, signal?: AbortSignal): Promise<Joined> {
    const key = this.#keyOf(asking);
    let present = this.#byKey.get(key);
    while (present !== undefined) {
      const entry = present;
      // oxlint-disable-next-line no-await-in-loop -- another one may have taken the place of what failed
      const opened = await this.#opened(entry, signal).catch((error: unknown) => {
        if (signal?.aborted === true) throw error;
        return undefined;
      });
      if (opened instanceof SharedAnswer) {
        if (opened.canJoin) return this.#following(entry, opened, false);
      } else if (opened?.kind === 'found') {
        // oxlint-disable-next-line no-await-in-loop
        const answer = await this.#stored.find(opened.place);
        if (answer !== undefined) return { kind: 'stored', answer };
      } else if (opened !== undefined) {
        if (opened.kind === 'denied' || opened.kind === 'throttled') break;
        return opened;
      }
      // What cannot be joined is replaced once, not by each who finds it so.
      present = this.#byKey.get(key);
      if (present === entry) break;
    }
    return this.#begin(key, asking, signal);
  }

  /** Removes what is stored of a repository (`Repository.key`); what is in the making is given to nobody else. */
  async forget(repository: string): Promise<void> {
    for (const entry of this.#entries) {
      if (entry.question.repository !== repository) continue;
      entry.isForgotten = true;
      if (this.#byKey.get(entry.key) === entry) this.#byKey.delete(entry.key);
    }
    await this.#stored.forget(repository);
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
    this.#stored.close();
  }

  #keyOf({ question, alsoDependsOn }: Asking): string {
    return `${answerPlace(question)} ${question.tags ?? ''} ${alsoDependsOn ?? ''}`;
  }

  async #begin(key: string, asking: Asking, signal: AbortSignal | undefined): Promise<Joined> {
    if (this.#isClosed) throw new HotpackError('shutting_down', 'hotpack is shutting down');
    const { question, alsoDependsOn, isExpected = false } = asking;
    const place = answerPlace(question);
    const abort = new AbortController();
    const entry: Entry = {
      key,
      question,
      isStorable: alsoDependsOn === undefined && this.#options.maxBytes > 0,
      wasAskedBefore: isExpected || this.#asked.get(place) === true,
      isExpected,
      abort,
      opening: Promise.resolve({ kind: 'found', place: '' }),
      shared: undefined,
      waiting: 0,
      isPumped: false,
      isForgotten: false,
      isKeeping: false,
      keeping: undefined,
      made: undefined,
      linger: undefined,
    };
    if (!isExpected) this.#asked.set(place, true);
    entry.opening = this.#open(entry, asking.make);
    this.#entries.add(entry);
    // Where two begin under one key at once the later one is found by those who come; both are served.
    this.#byKey.set(key, entry);
    entry.opening.then(
      (answer) => {
        if (!(answer instanceof SharedAnswer)) return this.#forget(entry);
        entry.shared = answer;
        if (entry.waiting === 0) this.#discard(entry);
      },
      () => this.#forget(entry),
    );
    const opened = await this.#opened(entry, signal);
    if (opened instanceof SharedAnswer) return this.#following(entry, opened, true);
    if (opened.kind !== 'found') return opened;
    const answer = await this.#stored.find(opened.place);
    // It was found there a moment ago; if it is gone by now it is made for this one alone.
    if (answer === undefined) return this.#begin(key, asking, signal);
    return { kind: 'stored', answer };
  }

  /** Waits for the first word; when nobody does any more, it need not come. */
  async #opened(entry: Entry, signal: AbortSignal | undefined): Promise<SharedAnswer | Found | Refused | Failure> {
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

  async #open(entry: Entry, make: Make): Promise<SharedAnswer | Found | Refused | Failure> {
    const { question, abort } = entry;
    const made = await make(abort.signal);
    if (made.kind !== 'pack') return made;
    entry.made = made;
    const place = answerPlace(question, made.variant);
    if (made.variant !== undefined && entry.isStorable && (await this.#isStored(place, question))) {
      made.onEnd?.();
      return { kind: 'found', place };
    }
    return new SharedAnswer({
      answer: made,
      abort,
      recentBytes: () => this.#recentBytes(),
      openSpool: () => this.#stored.openSpool(place, headerOfMade(entry.question, made, 0)),
      onSpoolFailed: this.#options.onFailed,
    });
  }

  async #isStored(place: string, { tags }: AnswerQuestion): Promise<boolean> {
    const found = await this.#stored.find(place);
    found?.release();
    if (found !== undefined && tags !== undefined) this.#stored.noteTags(place, tags);
    return found !== undefined;
  }

  /** What one of the answers on their way may keep in memory. */
  #recentBytes(): number {
    let streaming = 0;
    for (const entry of this.#entries) if (entry.shared?.isStreaming === true) streaming++;
    return Math.min(MAX_RECENT_BYTES, (this.#options.memoryBytes * STREAMING_SHARE) / Math.max(1, streaming));
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
    if (!entry.isPumped) {
      entry.isPumped = true;
      if (entry.isStorable && (entry.wasAskedBefore || isKeptAtOnce(entry.made?.costUs(0) ?? 0))) shared.spool();
      void shared.pump().then(() => this.#settle(entry, shared));
    }
    if (entry.isStorable && shared.isSpooled) entry.keeping ??= this.#keep(entry, shared, entry.made as Made);
    return {
      ...follower,
      leave: () => {
        follower.leave();
        this.#settle(entry, shared);
      },
      reject: () => {
        follower.reject();
        this.#reject(entry);
      },
      packets: (signal) => this.#settled(follower.packets(signal), entry, shared),
      chunks: (signal) => this.#settled(follower.chunks(signal), entry, shared),
    };
  }

  async *#settled(
    source: AsyncGenerator<Uint8Array, void, undefined>,
    entry: Entry,
    shared: SharedAnswer,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      yield* source;
    } finally {
      this.#settle(entry, shared);
    }
  }

  /** Stores it once it is whole, if it is worth it. Never rejects. */
  async #keep(entry: Entry, shared: SharedAnswer, made: Made): Promise<void> {
    entry.isKeeping = true;
    try {
      const spool = await shared.whole();
      const { packBytes } = shared;
      const isWorthIt = isWorthKeeping(made.costUs(packBytes), packBytes, entry.wasAskedBefore || shared.wasJoined);
      if (spool === undefined || entry.isForgotten || !isWorthIt || !this.#stored.takes(shared.bytes)) return;
      const place = answerPlace(entry.question, made.variant);
      const isExpected = entry.isExpected && !shared.wasJoined;
      const header = headerOfMade(entry.question, made, packBytes);
      if (!(await this.#stored.keep(place, spool, header, isExpected))) return;
      // From now on it is found in the store.
      if (this.#byKey.get(entry.key) === entry) this.#byKey.delete(entry.key);
      if (entry.isForgotten || shared.isRejected) await this.#stored.remove(place);
    } catch (error) {
      this.#options.onFailed(error);
    } finally {
      entry.isKeeping = false;
      this.#settle(entry, shared);
    }
  }

  /** Nobody is to be given it any more. */
  #reject(entry: Entry): void {
    if (entry.made === undefined || entry.keeping === undefined || entry.isKeeping) return;
    this.#stored.remove(answerPlace(entry.question, entry.made.variant)).catch(this.#options.onFailed);
  }

  /** After each change of followers or state: lets a finished answer linger, and removes what is of no use. */
  #settle(entry: Entry, shared: SharedAnswer): void {
    if (shared.followers > 0 || shared.isStreaming || entry.isKeeping || !this.#entries.has(entry)) return;
    clearTimeout(entry.linger);
    if (shared.canJoin && !this.#isClosed && this.#byKey.get(entry.key) === entry) {
      entry.linger = setTimeout(() => this.#discard(entry), this.#options.lingerMs);
      this.#limitLingering();
    } else {
      this.#discard(entry);
    }
  }

  /** Those that linger, the oldest first, make room for those that come. */
  #limitLingering(): void {
    const lingering = [...this.#entries].filter((entry) => entry.shared?.isStreaming === false);
    let bytes = lingering.reduce((sum, entry) => sum + (entry.shared?.memoryBytes ?? 0), 0);
    for (const entry of lingering) {
      if (bytes <= this.#options.memoryBytes * LINGERING_SHARE) return;
      if (entry.shared === undefined || entry.shared.followers > 0) continue;
      bytes -= entry.shared.memoryBytes;
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
    await entry.keeping;
    await entry.shared?.discard();
  }

  #discard(entry: Entry): void {
    this.#remove(entry).catch(this.#options.onFailed);
  }
}
