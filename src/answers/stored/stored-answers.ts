/**
 * Answers at rest: one immutable object each, `answers/<upstream>/<path>.git/<key>`, with `-<variant>` behind it where the
 * answer depends on which tags it adds. The store is the truth: what another process has stored is found there, and the
 * index is made anew by listing when the process starts. An object that does not fit its own header is removed, never given.
 *
 * The answers used last stay open, and small ones that are asked for again lie in memory (hot-packets.ts). Bounded by
 * `maxBytes`; what goes is decided in answer-index.ts.
 */
import { isHotpackError } from '../../bytes/error.ts';
import type { Storage, StorageReader } from '../../storage/contract.ts';
import { listPages } from '../../storage/listing.ts';
import type { AnswerHeader } from './answer-header.ts';
import { AnswerIndex, type IndexEntry } from './answer-index.ts';
import { type AnswerQuestion, answerKey } from '../answer-key.ts';
import { AnswerSpool, type HeaderFields } from './answer-spool.ts';
import { HotPackets } from './hot-packets.ts';
import { OpenAnswer } from './open-answer.ts';

export interface StoredAnswersOptions {
  readonly storage: Storage;
  /** 0: nothing is stored. */
  readonly maxBytes: number;
  /** For the packets of small ones that are asked for again. Default 0: they are read from the store each time. */
  readonly hotBytes?: number;
  readonly now?: (() => number) | undefined;
  readonly onEvicted: (count: number) => void;
  /** The store failed, or an object was not what it says it is: answers are made as if it were not there. */
  readonly onFailed: (error: unknown) => void;
}

/** An answer that is being read. */
export interface StoredAnswer {
  readonly header: AnswerHeader;
  readonly madeAtMs: number;
  /** The header, then the packets. Belongs to the cache, which closes it. */
  readonly reader: StorageReader;
  /** Packets and end, where they are in memory: not to be written to. */
  readonly packets: Uint8Array | undefined;
  /** Idempotent. An error that reading met: the object is looked at no more. */
  readonly release: (error?: unknown) => void;
}

/** Of all answers. */
export const FOLDER = 'answers/';
/** Handles, not bytes. */
const MAX_OPEN = 64;
const MAX_TAG_SETS = 64;

/** Where the answer to `question` lies. */
export function answerPlace(question: AnswerQuestion, variant?: string): string {
  const stem = `${FOLDER}${question.repository}/${answerKey(question)}`;
  return variant === undefined ? stem : `${stem}-${variant}`;
}

export class StoredAnswers {
  readonly #options: StoredAnswersOptions;
  readonly #index: AnswerIndex;
  /** Entries that are kept open, the least recently used first. */
  readonly #open = new Set<IndexEntry>();
  readonly #hot: HotPackets;

  constructor(options: StoredAnswersOptions) {
    this.#options = options;
    this.#index = new AnswerIndex(options.maxBytes, options.now);
    this.#hot = new HotPackets(options.hotBytes ?? 0);
  }

  get bytes(): number {
    return this.#index.bytes;
  }

  get maxExpectedBytes(): number {
    return this.#index.maxExpectedBytes;
  }

  /** Finds out what is there, or what of it begins with `prefix`. Rejects where the store cannot be listed. */
  async load(prefix: string = FOLDER, signal?: AbortSignal): Promise<void> {
    const found: { readonly key: string; readonly bytes: number; readonly modifiedAtMs: number }[] = [];
    for await (const page of listPages(this.#options.storage, prefix, signal)) found.push(...page);
    for (const one of found.toSorted((a, b) => a.modifiedAtMs - b.modifiedAtMs)) {
      if (this.#index.get(one.key) === undefined) this.#index.add(one);
    }
    await this.makeRoom(0);
  }

  /** What lies at `place`. Never rejects: what cannot be read is not there. */
  async find(place: string): Promise<StoredAnswer | undefined> {
    try {
      const entry = this.#index.get(place) ?? (await this.#discover(place));
      return entry && (await this.#take(entry));
    } catch (error) {
      this.#options.onFailed(error);
      return undefined;
    }
  }

  /** The variant at `place` that is known to be the answer where `tags` could be added. Never rejects. */
  async findWithTags(place: string, tags: string): Promise<StoredAnswer | undefined> {
    try {
      for (const entry of this.#index.variantsOf(place)) {
        // oxlint-disable-next-line no-await-in-loop -- few, and each is opened once
        if (entry.tags.size === 0) await this.#opened(entry);
        // oxlint-disable-next-line no-await-in-loop
        if (entry.tags.has(tags)) return await this.#take(entry);
      }
    } catch (error) {
      this.#options.onFailed(error);
    }
    return undefined;
  }

  /** What lies at `place` was found to be the answer with these tags too. */
  noteTags(place: string, tags: string): void {
    const known = this.#index.get(place)?.tags;
    if (known === undefined) return;
    if (known.size >= MAX_TAG_SETS) known.clear();
    known.add(tags);
  }

  openSpool(place: string, header: HeaderFields): Promise<AnswerSpool> {
    return AnswerSpool.open(this.#options.storage, place, header);
  }

  /** Whether an answer of so many bytes can be kept at all. */
  takes(bytes: number): boolean {
    return bytes <= this.#options.maxBytes / 2;
  }

  /**
   * Makes an answer of what was spooled for `place`, and room for it; where nobody has asked for it yet, only if what must go is of
   * less use. False where it is not kept. Rejects where the store fails.
   */
  async keep(place: string, spool: AnswerSpool, header: HeaderFields, isExpected: boolean): Promise<boolean> {
    const { packBytes: bytes, costUs } = header;
    const gone = isExpected ? this.#index.makeRoomFor({ bytes, costUs }) : this.#index.makeRoom(bytes);
    if (gone === undefined) return false;
    await this.#evict(gone);
    await spool.keep(header);
    const before = this.#index.get(place);
    if (before !== undefined) this.#shut(before);
    await this.#discover(place);
    return true;
  }

  /** Removes what must go so that `bytes` more can come. Rejects where the store fails. */
  async makeRoom(bytes: number): Promise<void> {
    await this.#evict(this.#index.makeRoom(bytes));
  }

  async #evict(gone: readonly IndexEntry[]): Promise<void> {
    if (gone.length === 0) return;
    for (const entry of gone) this.#shut(entry);
    this.#options.onEvicted(gone.length);
    await this.#options.storage.delete(gone.map((entry) => entry.key));
  }

  async remove(place: string): Promise<void> {
    this.#forgetEntry(place);
    await this.#options.storage.delete([place]);
  }

  /** Removes all answers of a repository (`Repository.key`). */
  async forget(repository: string): Promise<void> {
    const prefix = `${FOLDER}${repository}/`;
    for (const key of this.#index.keysBelow(prefix)) this.#forgetEntry(key);
    for await (const page of listPages(this.#options.storage, prefix)) {
      for (const { key } of page) this.#forgetEntry(key);
      await this.#options.storage.delete(page.map((one) => one.key));
    }
  }

  /** Lets go of what is open; those who read keep theirs. */
  close(): void {
    for (const entry of this.#open) this.#shut(entry);
  }

  /** What the index does not know: another process has stored it, or the listing is under way. */
  async #discover(key: string): Promise<IndexEntry | undefined> {
    const opened = await this.#openObject(key);
    if (opened === undefined) return undefined;
    const present = this.#index.get(key);
    if (present?.opened !== undefined) {
      opened.letGo();
      return present;
    }
    const entry = present ?? this.#index.add({ key, bytes: opened.reader.bytes });
    this.#hold(entry, Promise.resolve(opened));
    this.#note(entry, opened);
    this.makeRoom(0).catch(this.#options.onFailed);
    return entry;
  }

  async #take(entry: IndexEntry): Promise<StoredAnswer | undefined> {
    // Before anything is awaited: what is being read is not evicted.
    entry.readers++;
    const opened = await this.#opened(entry).catch((error: unknown) => {
      entry.readers--;
      throw error;
    });
    if (opened?.use() !== true) {
      entry.readers--;
      return undefined;
    }
    this.#index.touch(entry);
    let isOver = false;
    const release = (error?: unknown): void => {
      if (isOver) return;
      isOver = true;
      entry.readers--;
      opened.letGo();
      if (error === undefined) return;
      this.#options.onFailed(error);
      this.remove(entry.key).catch(this.#options.onFailed);
    };
    try {
      const packets = await this.#hot.of(opened);
      return {
        header: opened.header,
        madeAtMs: opened.reader.info.modifiedAtMs,
        reader: opened.reader,
        packets,
        release,
      };
    } catch (error) {
      release(error);
      return undefined;
    }
  }

  /** Undefined where it is there no more. */
  async #opened(entry: IndexEntry): Promise<OpenAnswer | undefined> {
    if (entry.opened !== undefined) {
      this.#open.delete(entry);
      this.#open.add(entry);
      return entry.opened;
    }
    const opening = this.#openObject(entry.key);
    this.#hold(entry, opening);
    try {
      const opened = await opening;
      if (opened === undefined) this.#forgetEntry(entry.key);
      else this.#note(entry, opened);
      return opened;
    } catch (error) {
      this.#shut(entry);
      throw error;
    }
  }

  async #openObject(key: string): Promise<OpenAnswer | undefined> {
    try {
      return await OpenAnswer.open(this.#options.storage, key);
    } catch (error) {
      if (!isHotpackError(error, 'malformed_pack')) throw error;
      this.#options.onFailed(error);
      await this.remove(key);
      return undefined;
    }
  }

  #note(entry: IndexEntry, { header }: OpenAnswer): void {
    entry.costUs = header.costUs;
    if (header.tags !== undefined) entry.tags.add(header.tags);
    this.#index.touch(entry);
  }

  #hold(entry: IndexEntry, opened: Promise<OpenAnswer | undefined>): void {
    entry.opened = opened;
    this.#open.add(entry);
    for (const oldest of this.#open) {
      if (this.#open.size <= MAX_OPEN) break;
      this.#shut(oldest);
    }
  }

  /** Closes it once nobody reads it. */
  #shut(entry: IndexEntry): void {
    const { opened } = entry;
    entry.opened = undefined;
    this.#open.delete(entry);
    opened?.then(
      (one) => {
        if (one === undefined) return;
        this.#hot.forget(one);
        one.letGo();
      },
      () => undefined,
    );
  }

  #forgetEntry(key: string): void {
    const entry = this.#index.get(key);
    if (entry === undefined) return;
    this.#index.remove(entry);
    this.#shut(entry);
  }
}
