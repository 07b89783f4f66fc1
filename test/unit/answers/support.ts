/** A pack cache over memory, and packs whose chunks a test hands out. */
import { expect } from 'vitest';
import type { AnswerQuestion } from '../../../src/answers/answer-key.ts';
import { Answers } from '../../../src/answers/answers.ts';
import type { Asking, Joined, Make } from '../../../src/answers/contract.ts';
import type { Follower } from '../../../src/answers/shared-answer.ts';
import { raceSignal } from '../../../src/bytes/abort.ts';
import type { Storage, StorageWriter } from '../../../src/storage/contract.ts';
import { createMemoryStorage } from '../../../src/storage/drivers/memory.ts';
import type { Failure } from '../../../src/upstream/contract.ts';

export const never: AbortSignal = new AbortController().signal;
export const DENIED: Failure = { kind: 'denied', answer: { status: 401, headers: [], body: new Uint8Array() } };
export const a: string = 'a'.repeat(40);
export const b: string = 'b'.repeat(40);

export const base: AnswerQuestion = {
  repository: 'up/a.git',
  wants: [a, b],
  haves: [],
  shallows: [],
  deepen: { kind: 'none' },
  filter: { kind: 'none' },
  thin: false,
  ofsDelta: true,
  tags: undefined,
};
export const asking = (name: string, make: Make, change: Partial<AnswerQuestion> = {}): Asking => ({
  question: { ...base, repository: `up/${name}.git`, ...change },
  make,
});

/** One packet's worth, and the packet. */
export const DATA = 65_515;
export const PACKET = 65_520;

/** A pack whose chunks a test hands out. */
export class Source {
  readonly signals: AbortSignal[] = [];
  costUs = 0;
  variant: string | undefined;
  pulled = 0;
  ended = 0;
  #queue: (Uint8Array | Error | 'end')[] = [];
  #more = Promise.withResolvers<void>();
  #listener: ((text: Uint8Array) => void) | undefined;

  readonly make: Make = async (signal: AbortSignal): ReturnType<Make> => {
    this.signals.push(signal);
    return {
      kind: 'pack',
      header: { shallowInfo: { shallow: [a], unshallow: [b] }, wantedRefs: [] },
      chunks: this.#chunks(signal),
      onProgress: (listener) => (this.#listener = listener),
      onEnd: () => void this.ended++,
      costUs: () => this.costUs,
      objects: () => 7,
      ...(this.variant === undefined ? {} : { variant: this.variant }),
    };
  };

  give(...items: (Uint8Array | Error | 'end')[]): this {
    this.#queue.push(...items);
    this.#more.resolve();
    return this;
  }

  say(text: string): void {
    this.#listener?.(new TextEncoder().encode(text));
  }

  async *#chunks(signal: AbortSignal): AsyncGenerator<Uint8Array> {
    while (true) {
      const item = this.#queue.shift();
      if (item === undefined) {
        this.#more = Promise.withResolvers();
        await raceSignal(this.#more.promise, signal);
      } else if (item === 'end') return;
      else if (item instanceof Error) throw item;
      else {
        this.pulled++;
        yield item;
      }
    }
  }
}

export const chunk = (n: number, bytes: number = DATA): Uint8Array => new Uint8Array(bytes).fill(n);
export const numbers = (count: number, from: number = 1): number[] => Array.from({ length: count }, (_, n) => n + from);

export interface Bench {
  readonly answers: Answers;
  readonly storage: Storage;
  readonly failures: unknown[];
  readonly spools: StorageWriter[];
  readonly stored: () => Promise<string[]>;
  readonly evicted: () => number;
}

export function createBench(options: { maxBytes?: number; memoryBytes?: number; storage?: Storage } = {}): Bench {
  const storage = options.storage ?? createMemoryStorage();
  const failures: unknown[] = [];
  const { maxBytes = 1 << 30, memoryBytes = 8 * PACKET } = options;
  let evicted = 0;
  const answers = new Answers({
    storage,
    maxBytes,
    memoryBytes,
    lingerMs: 30_000,
    onEvicted: (count) => (evicted += count),
    onFailed: (error) => failures.push(error),
  });
  const spools: StorageWriter[] = [];
  const openWriter = storage.openWriter.bind(storage);
  storage.openWriter = async (...args) => {
    const writer = await openWriter(...args);
    spools.push(writer);
    return writer;
  };
  const stored = async (): Promise<string[]> => (await storage.list('answers/')).objects.map((one) => one.key);
  return { answers, storage, failures, spools, stored, evicted: () => evicted };
}

export function follower(joined: Joined): Follower {
  if (joined.kind !== 'following') throw new Error(joined.kind);
  return joined.follower;
}

/** First bytes of the chunks, repeats left out; how many bytes. */
export async function readAll(one: Follower, signal: AbortSignal = never): Promise<{ seen: number[]; bytes: number }> {
  const seen: number[] = [];
  let bytes = 0;
  for await (const part of one.chunks(signal)) {
    if (seen.at(-1) !== part[0]) seen.push(part[0] as number);
    bytes += part.length;
  }
  return { seen, bytes };
}

/** What is stored, as `readAll` tells it; undefined where nothing is. */
export async function readStored(answers: Answers, question: AnswerQuestion): Promise<number | undefined> {
  const answer = await answers.find(question);
  if (answer === undefined) return undefined;
  const { header, reader } = answer;
  const bytes = await reader.read(header.headerBytes, reader.bytes - header.headerBytes);
  answer.release();
  expect(new TextDecoder().decode(bytes.subarray(-4))).toBe('0000');
  return header.packBytes;
}

export async function turns(): Promise<void> {
  for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve));
}
