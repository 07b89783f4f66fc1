/**
 * A key-value store as bad as `Kv` allows: every call takes a random time before and after it happens, reads and lists may show what
 * was there half a day ago, writes fail and take place hours later, clients are suspended in mid-call, and a killed client's last write may or may not arrive. Every write is recorded.
 */
import { ABSENT, type Absent } from '../../../src/storage/contract.ts';
import type { Kv, KvValue } from '../../../src/storage/kv/contract.ts';
import type { VirtualTime } from './virtual-time.ts';

const HOUR_MS = 3_600_000;

export interface SimulatedKvOptions {
  readonly time: VirtualTime;
  readonly random: () => number;
  /** False: reads are always current and nothing fails; calls still take their time. */
  readonly isBad: boolean;
  /** What a wrong implementation would do, for the suite to notice. */
  readonly mutation?: 'read-creates' | 'tidies-early' | undefined;
}

export interface RecordedWrite {
  readonly by: string;
  readonly operation: 'set' | 'delete';
  readonly key: string;
}

/** One client's view of it. */
export interface SimulatedClient extends Kv {
  /** No call of his returns any more. */
  kill(): void;
}

export class SimulatedKv {
  readonly writes: RecordedWrite[] = [];
  isBad: boolean;
  reads = 0;
  readonly #options: SimulatedKvOptions;
  /** By key: what it held from when on, oldest first; undefined: nothing. */
  readonly #history = new Map<string, { readonly fromMs: number; readonly text: string | undefined }[]>();

  constructor(options: SimulatedKvOptions) {
    this.#options = options;
    this.isBad = options.isBad;
  }

  /** What is there now. */
  get keys(): string[] {
    return [...this.#history.keys()].filter((key) => this.#at(key, Infinity) !== undefined).toSorted();
  }

  client(by: string): SimulatedClient {
    let isKilled = false;
    const never = new Promise<never>(() => undefined);
    const pass = async <T>(value: T): Promise<T> => {
      await this.#wait();
      return isKilled ? never : value;
    };
    const write = async (operation: RecordedWrite['operation'], key: string, text: string | undefined) => {
      const { random, time } = this.#options;
      await this.#wait();
      if (isKilled && random() < 0.5) return never;
      if (this.isBad && random() < 0.1) {
        if (random() < 0.7) void time.sleep(random() * 10 * HOUR_MS).then(() => this.#land(by, operation, key, text));
        await pass(undefined);
        throw new Error('it took too long');
      }
      // A process that was suspended in mid-call, and finds that it went well.
      if (this.isBad && random() < 0.01) await time.sleep(random() * 96 * HOUR_MS);
      if (isKilled) return never;
      this.#land(by, operation, key, text);
      return pass(undefined);
    };
    const get = async (key: string): Promise<KvValue | Absent> => {
      await this.#wait();
      this.reads++;
      const text = this.#at(key, this.#asOf());
      if (text === undefined && this.#options.mutation === 'read-creates') this.#land(by, 'set', key, '{}');
      return pass(text === undefined ? ABSENT : ({ kind: 'found', text } as const));
    };
    return {
      get,
      getMany: (keys) => Promise.all(keys.map(get)),
      set: (key, text) => {
        if (this.#options.mutation === 'tidies-early' && key.includes(':record:')) {
          const day = key.slice(0, key.indexOf('record:'));
          for (const shard of this.keys.filter((other) => other.startsWith(`${day}i`))) {
            this.#land(by, 'delete', shard, undefined);
          }
        }
        return write('set', key, text);
      },
      delete: (key) => write('delete', key, undefined),
      // oxlint-disable-next-line func-names -- a generator
      list: (prefix) => this.#list(prefix, pass),
      close: () => Promise.resolve(),
      kill: () => {
        isKilled = true;
      },
    };
  }

  async *#list(prefix: string, pass: <T>(value: T) => Promise<T>): AsyncGenerator<string> {
    await this.#wait();
    const asOfMs = this.#asOf();
    const found = [...this.#history.keys()].filter((key) => key.startsWith(prefix));
    const half = found.length / 2;
    yield* await pass(found.slice(0, half).filter((key) => this.#at(key, asOfMs) !== undefined));
    yield* await pass(found.slice(half).filter((key) => this.#at(key, asOfMs) !== undefined));
  }

  #land(by: string, operation: RecordedWrite['operation'], key: string, text: string | undefined): void {
    this.writes.push({ by, operation, key });
    const history = this.#history.get(key);
    const entry = { fromMs: this.#options.time.nowMs, text };
    if (history === undefined) this.#history.set(key, [entry]);
    else history.push(entry);
  }

  #at(key: string, ms: number): string | undefined {
    return this.#history.get(key)?.findLast(({ fromMs }) => fromMs <= ms)?.text;
  }

  #asOf(): number {
    const { random, time } = this.#options;
    return this.isBad && random() < 0.3 ? time.nowMs - random() * 12 * HOUR_MS : Infinity;
  }

  /** Mostly seconds, sometimes an hour. */
  #wait(): Promise<void> {
    const { random, time } = this.#options;
    return time.sleep(random() ** 6 * HOUR_MS);
  }
}
