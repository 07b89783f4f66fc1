/**
 * The pack cache where nothing that one request began may be waited for by another (Workers): each looks in the store, and
 * makes by itself what is not there. Of those who make the same at once one of an isolate stores it, and who finds in the end
 * that another isolate was faster drops his. The store is the truth and is asked every time: two requests for a hit, and
 * one for its bytes.
 *
 * Nothing is evicted here: `evict-answers.ts` does that by the cron. When an answer was last used is written hourly for it.
 *
 * Memory: one run of packets of each answer on its way, and what two writers of the store take.
 */
import { giveBack } from '../../bytes/give-back.ts';
import { PacketFiller } from '../../protocol/side-band/full-packets.ts';
import type { Storage } from '../../storage/contract.ts';
import { isKeptAtOnce, isWorthKeeping } from '../answer-cost.ts';
import type { AnswerQuestion } from '../answer-key.ts';
import type { AnswerCache, AnswerCaches, Asking, Joined, Made } from '../contract.ts';
import { headerOfMade } from '../made-header.ts';
import type { Follower } from '../shared-answer.ts';
import { answerPlace, StoredAnswers, type StoredAnswer } from '../stored/stored-answers.ts';
import { AnswerMemory } from './answer-memory.ts';
import { AnswerKeeping } from './keep-answer.ts';
import { noteUsed } from './used.ts';

const MAX_ANSWER_BYTES = 512 * 1024 * 1024;

type KeepAlive = (work: Promise<unknown>) => void;

export interface EdgeAnswersOptions {
  readonly storage: Storage;
  /** Of all stored answers; 0 stores none. */
  readonly maxBytes: number;
  readonly now: () => number;
  /** The store failed; whoever asked is answered all the same. */
  readonly onFailed: (error: unknown) => void;
}

export class EdgeAnswers implements AnswerCaches {
  readonly #options: EdgeAnswersOptions;
  readonly #memory: AnswerMemory;

  constructor(options: EdgeAnswersOptions) {
    this.#options = options;
    this.#memory = new AnswerMemory(options.now);
  }

  of(keepAlive: KeepAlive = () => undefined): AnswerCache {
    return new RequestAnswers(this.#options, this.#memory, keepAlive);
  }

  /** Removes what is stored of a repository (`Repository.key`). Rejects where the store fails. */
  forget(repository: string): Promise<void> {
    return openStored(this.#options).forget(repository);
  }
}

class RequestAnswers implements AnswerCache {
  readonly #options: EdgeAnswersOptions;
  readonly #memory: AnswerMemory;
  readonly #keepAlive: KeepAlive;
  readonly #stored: StoredAnswers;

  constructor(options: EdgeAnswersOptions, memory: AnswerMemory, keepAlive: KeepAlive) {
    this.#options = options;
    this.#memory = memory;
    this.#keepAlive = keepAlive;
    this.#stored = openStored(options);
  }

  get maxExpectedBytes(): number {
    return this.#stored.maxExpectedBytes;
  }

  takes(asking: Pick<Asking, 'question' | 'alsoDependsOn'>): boolean {
    return this.#isStorable(asking) && this.#memory.mayStore(answerPlace(asking.question));
  }

  async find(question: AnswerQuestion): Promise<StoredAnswer | undefined> {
    if (this.#options.maxBytes === 0) return undefined;
    const found = await this.#find(question);
    if (found !== undefined) this.#noteUse(found);
    return found;
  }

  async join(asking: Asking, signal: AbortSignal = new AbortController().signal): Promise<Joined> {
    const { question, make, isExpected = false } = asking;
    const wasAskedBefore = isExpected || this.#memory.noteAsked(answerPlace(question));
    const made = await make(signal);
    if (made.kind !== 'pack') return made;
    const place = answerPlace(question, made.variant);
    const isStorable = this.#isStorable(asking);
    if (isStorable && made.variant !== undefined) {
      const answer = await this.#stored.find(place);
      if (answer !== undefined) {
        made.onEnd?.();
        if (question.tags !== undefined) this.#memory.notePlaceWithTags(answerPlace(question), question.tags, place);
        this.#noteUse(answer);
        return { kind: 'stored', answer };
      }
    }
    const isKept =
      isStorable && (wasAskedBefore || isKeptAtOnce(made.costUs(0))) && this.#memory.mayStore(answerPlace(question));
    const keeping = isKept ? this.#keep(question, made, wasAskedBefore) : undefined;
    return { kind: 'following', follower: followerOf(made, keeping), began: true, again: () => undefined };
  }

  /** What also depends on something that the key does not say is nobody else's. */
  #isStorable({ alsoDependsOn }: Pick<Asking, 'alsoDependsOn'>): boolean {
    return alsoDependsOn === undefined && this.#options.maxBytes > 0;
  }

  async #find(question: AnswerQuestion): Promise<StoredAnswer | undefined> {
    const place = answerPlace(question);
    const { tags } = question;
    if (tags === undefined) return this.#stored.find(place);
    const known = this.#memory.placeWithTags(place, tags);
    if (known !== undefined) return this.#stored.find(known);
    try {
      await this.#stored.load(`${place}-`);
    } catch (error) {
      this.#options.onFailed(error);
      return undefined;
    }
    const found = await this.#stored.findWithTags(place, tags);
    if (found !== undefined) this.#memory.notePlaceWithTags(place, tags, found.reader.info.key);
    return found;
  }

  #keep(question: AnswerQuestion, made: Made, wasAskedBefore: boolean): AnswerKeeping {
    const { storage, onFailed, maxBytes } = this.#options;
    const stem = answerPlace(question);
    const place = answerPlace(question, made.variant);
    this.#memory.storingBegins(stem);
    const keeping = new AnswerKeeping({
      openSpool: () => this.#stored.openSpool(place, headerOfMade(question, made, 0)),
      maxBytes: Math.min(MAX_ANSWER_BYTES, maxBytes / 2),
      keep: async (spool, packBytes) => {
        if (!isWorthKeeping(made.costUs(packBytes), packBytes, wasAskedBefore)) return;
        if ((await storage.head(place)).kind !== 'absent') return;
        await spool.keep(headerOfMade(question, made, packBytes));
        if (question.tags !== undefined) this.#memory.notePlaceWithTags(stem, question.tags, place);
      },
      onFailed,
    });
    this.#keepAlive(keeping.done.then(() => this.#memory.storingEnds(stem)));
    return keeping;
  }

  #noteUse({ reader }: StoredAnswer): void {
    const { key } = reader.info;
    if (!this.#memory.noteUse(key)) return;
    this.#keepAlive(noteUsed(this.#options.storage, key).catch(this.#options.onFailed));
  }
}

function openStored({ storage, maxBytes, onFailed }: EdgeAnswersOptions): StoredAnswers {
  return new StoredAnswers({ storage, maxBytes, onEvicted: () => undefined, onFailed });
}

/** The one who reads it. Nothing is made ahead of him. */
function followerOf(made: Made, keeping: AnswerKeeping | undefined): Follower {
  let isBegun = false;
  let isOver = false;
  const end = (): void => {
    if (isOver) return;
    isOver = true;
    keeping?.end();
    made.onEnd?.();
  };
  async function* packets(): AsyncGenerator<Uint8Array, void, undefined> {
    isBegun = true;
    const filler = new PacketFiller();
    let packBytes = 0;
    try {
      for await (const chunk of made.chunks) {
        packBytes += chunk.length;
        for (const run of filler.push(chunk)) {
          await keeping?.write(run);
          yield run;
        }
        giveBack(chunk);
      }
      const last = filler.finish();
      if (last !== undefined) {
        await keeping?.write(last);
        yield last;
      }
      keeping?.end(packBytes);
    } finally {
      end();
    }
  }
  return {
    header: made.header,
    packets,
    async *chunks() {
      isBegun = true;
      try {
        yield* made.chunks;
      } finally {
        end();
      }
    },
    onProgress: (listener) => made.onProgress?.(listener),
    // Where reading has begun, it ends by itself.
    leave: () => (isBegun ? undefined : end()),
    reject: () => keeping?.end(),
  };
}
