import { afterEach, describe, expect, test, vi } from 'vitest';
import { answerKey } from '../../../src/answers/answer-key.ts';
import type { Begin, Joined } from '../../../src/answers/shared-answers.ts';
import { SharedAnswers } from '../../../src/answers/shared-answers.ts';
import type { Follower } from '../../../src/answers/shared-answer.ts';
import { raceSignal } from '../../../src/bytes/abort.ts';
import { createFetchRequest } from '../../../src/protocol/fetch/create-fetch-request.ts';
import type { Storage, StorageWriter } from '../../../src/storage/contract.ts';
import { createMemoryStorage } from '../../../src/storage/drivers/memory.ts';
import type { Failure } from '../../../src/upstream/contract.ts';

const never = new AbortController().signal;
const DENIED: Failure = { kind: 'denied', answer: { status: 401, headers: [], body: new Uint8Array() } };

/** An upstream answer whose chunks a test hands out. */
class Source {
  readonly signals: AbortSignal[] = [];
  pulled = 0;
  #queue: (Uint8Array | Error | 'end')[] = [];
  #more = Promise.withResolvers<void>();
  #listener: ((text: Uint8Array) => void) | undefined;

  readonly begin: Begin = async (signal) => {
    this.signals.push(signal);
    return {
      kind: 'pack',
      header: { shallowInfo: undefined, wantedRefs: [] },
      chunks: this.#chunks(signal),
      onProgress: (listener) => (this.#listener = listener),
    };
  };

  give(...items: (Uint8Array | Error | 'end')[]): void {
    this.#queue.push(...items);
    this.#more.resolve();
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

const chunk = (n: number, bytes = 1000): Uint8Array => new Uint8Array(bytes).fill(n);

function createBench(options: { maxBytes?: number; memoryBytes?: number; storage?: Storage } = {}) {
  const storage = options.storage ?? createMemoryStorage();
  const failures: unknown[] = [];
  const { maxBytes = 1 << 30, memoryBytes = 4000 } = options;
  const answers = new SharedAnswers({
    storage,
    maxBytes,
    memoryBytes,
    lingerMs: 30_000,
    onSpoolFailed: (error) => failures.push(error),
  });
  const spools: StorageWriter[] = [];
  const aborted: StorageWriter[] = [];
  const openWriter = storage.openWriter.bind(storage);
  storage.openWriter = async (...args) => {
    const writer = await openWriter(...args);
    const abort = writer.abort.bind(writer);
    writer.abort = async () => {
      aborted.push(writer);
      await abort();
    };
    spools.push(writer);
    return writer;
  };
  return { answers, storage, failures, spools, aborted };
}

function follower(joined: Joined): Follower {
  if (joined.kind !== 'following') throw new Error(joined.kind);
  return joined.follower;
}

/** First bytes of the chunks, repeats left out; how many bytes. */
async function readAll(one: Follower, signal = never): Promise<{ seen: number[]; bytes: number }> {
  const seen: number[] = [];
  let bytes = 0;
  for await (const part of one.chunks(signal)) {
    for (const byte of part) if (seen.at(-1) !== byte) seen.push(byte);
    bytes += part.length;
  }
  return { seen, bytes };
}

async function turns(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
}

afterEach(() => vi.useRealTimers());

describe('sharing', () => {
  test('one request for many; a late one gets it from the first byte', async () => {
    const { answers } = createBench();
    const source = new Source();
    const first = [answers.join('k', source.begin), answers.join('k', source.begin), answers.join('k', source.begin)];
    const joined = await Promise.all(first);
    expect(joined.map((one) => one.kind === 'following' && one.began)).toEqual([true, false, false]);
    const reading = joined.map((one) => readAll(follower(one)));
    source.give(...[1, 2, 3, 4, 5, 6, 7, 8, 9].map((n) => chunk(n)));
    await turns();
    const late = readAll(follower(await answers.join('k', source.begin)));
    source.give(chunk(10), 'end');
    for (const one of [...reading, late]) {
      expect(await one).toEqual({ seen: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], bytes: 10_000 });
    }
    expect(source.signals).toHaveLength(1);
    await answers.close();
  });

  test('one that stalls holds up neither the others nor upstream', async () => {
    const { answers } = createBench();
    const source = new Source();
    const stalled = follower(await answers.join('k', source.begin)).chunks(never);
    const other = readAll(follower(await answers.join('k', source.begin)));
    source.give(chunk(1));
    expect((await stalled.next()).value?.[0]).toBe(1);
    source.give(...Array.from({ length: 40 }, (_, n) => chunk(n + 2)), 'end');
    expect((await other).bytes).toBe(41_000);
    expect(source.pulled).toBe(41);
    let rest = 0;
    for await (const part of stalled) rest += part.length;
    expect(rest).toBe(40_000);
    await answers.close();
  });

  test('progress comes while one follows, and no longer', async () => {
    const { answers } = createBench();
    const source = new Source();
    const one = follower(await answers.join('k', source.begin));
    const two = follower(await answers.join('k', source.begin));
    const heard: string[] = [];
    one.onProgress((text) => heard.push(`1 ${new TextDecoder().decode(text)}`));
    two.onProgress((text) => heard.push(`2 ${new TextDecoder().decode(text)}`));
    source.say('a');
    one.leave();
    source.say('b');
    expect(heard).toEqual(['1 a', '2 a', '2 b']);
    await answers.close();
  });
});

describe('leaving', () => {
  test('of the first and of others ends nothing; of all ends upstream and removes the bytes', async () => {
    const { answers, spools, aborted } = createBench();
    const source = new Source();
    const joined = await Promise.all([1, 2, 3].map(() => answers.join('k', source.begin)));
    const [first, second, third] = joined.map(follower) as [Follower, Follower, Follower];
    const leaving = new AbortController();
    const read = readAll(first, leaving.signal);
    source.give(chunk(1));
    await turns();
    leaving.abort();
    await expect(read).rejects.toMatchObject({ code: 'aborted' });
    second.leave();
    await turns();
    expect(source.signals[0]?.aborted).toBe(false);
    source.give(chunk(2));
    third.leave();
    await turns();
    expect(source.signals[0]?.aborted).toBe(true);
    expect(aborted).toEqual(spools);
    expect(answers.bytes).toBe(0);
  });

  test('of all before upstream has answered ends the request too', async () => {
    const { answers } = createBench();
    let seen: AbortSignal | undefined;
    const begin: Begin = (signal) => {
      seen = signal;
      return raceSignal(new Promise(() => undefined), signal);
    };
    const [one, two] = [new AbortController(), new AbortController()];
    const joins = [answers.join('k', begin, one.signal), answers.join('k', begin, two.signal)];
    for (const join of joins) join.catch(() => undefined);
    one.abort();
    await turns();
    expect(seen?.aborted).toBe(false);
    two.abort();
    await expect(joins[1]).rejects.toMatchObject({ code: 'aborted' });
    expect(seen?.aborted).toBe(true);
  });

  test('who follows once more outlives the first', async () => {
    const { answers } = createBench();
    const source = new Source();
    const joined = await answers.join('k', source.begin);
    const again = joined.kind === 'following' ? joined.again() : undefined;
    follower(joined).leave();
    source.give(chunk(1), 'end');
    expect(await readAll(again!)).toEqual({ seen: [1], bytes: 1000 });
    await answers.close();
  });
});

describe('failing', () => {
  test('a stream that is cut fails for everyone, after its last byte, and is not joined any more', async () => {
    const { answers, spools, aborted } = createBench();
    const source = new Source();
    const both = [await answers.join('k', source.begin), await answers.join('k', source.begin)].map(follower);
    source.give(chunk(1), new Error('cut'));
    await turns();
    for (const one of both) {
      const chunks = one.chunks(never);
      expect((await chunks.next()).value?.length).toBe(1000);
      await expect(chunks.next()).rejects.toThrow('cut');
    }
    await turns();
    expect(aborted).toEqual(spools);
    const second = new Source();
    const joined = await Promise.all([answers.join('k', second.begin), answers.join('k', second.begin)]);
    expect(second.signals).toHaveLength(1);
    joined.forEach((one) => follower(one).leave());
  });

  test('a full disk: those who follow are served on, at the pace of the slowest; nobody joins', async () => {
    const { answers, failures, spools } = createBench({ memoryBytes: 3000 });
    const source = new Source();
    const slow = follower(await answers.join('k', source.begin)).chunks(never);
    const fast = readAll(follower(await answers.join('k', source.begin)));
    source.give(...[1, 2, 3, 4, 5, 6].map((n) => chunk(n)));
    await turns();
    spools[0]!.write = () => Promise.reject(new Error('full'));
    source.give(...Array.from({ length: 20 }, (_, n) => chunk(n + 7)), 'end');
    await turns();
    expect(failures).toHaveLength(1);
    expect(source.pulled).toBeLessThan(12);
    const other = new Source();
    const joined = await answers.join('k', other.begin);
    expect(joined.kind === 'following' && joined.began).toBe(true);
    follower(joined).leave();
    const seen: number[] = [];
    for await (const part of slow) for (const byte of part) if (seen.at(-1) !== byte) seen.push(byte);
    expect(seen).toEqual(Array.from({ length: 26 }, (_, n) => n + 1));
    expect((await fast).bytes).toBe(26_000);
    expect(source.pulled).toBe(26);
  });

  test('a close while a full disk holds upstream back ends', async () => {
    const { answers, spools } = createBench({ memoryBytes: 1000 });
    const source = new Source();
    const stalled = follower(await answers.join('k', source.begin));
    spools[0]!.write = () => Promise.reject(new Error('full'));
    source.give(chunk(1), chunk(2), chunk(3), chunk(4));
    await turns();
    await answers.close();
    await expect(readAll(stalled)).rejects.toMatchObject({ code: 'shutting_down' });
  });

  test('a no to somebody else is asked again by each who waited; another failure is everyone’s', async () => {
    const { answers } = createBench();
    const gate = Promise.withResolvers<Failure>();
    const first = answers.join('k', () => gate.promise);
    const [b, c] = [new Source(), new Source()];
    const waiting = [answers.join('k', b.begin), answers.join('k', c.begin)];
    gate.resolve(DENIED);
    expect(await first).toBe(DENIED);
    const joined = await Promise.all(waiting);
    expect([b.signals.length, c.signals.length]).toEqual([1, 1]);
    joined.forEach((one) => follower(one).leave());
    const down: Failure = { kind: 'unavailable', reason: 'network', message: 'x', retryAtMs: 0 };
    const other = new Source();
    const both = [answers.join('d', async () => down), answers.join('d', other.begin)];
    expect(await Promise.all(both)).toEqual([down, down]);
    expect(other.signals).toEqual([]);
    await answers.close();
  });

  test('an opening that failed is begun anew once for all who waited', async () => {
    const { answers } = createBench();
    const gate = Promise.withResolvers<never>();
    const first = answers.join('k', () => gate.promise);
    const second = new Source();
    const waiting = [1, 2, 3].map(() => answers.join('k', second.begin));
    gate.reject(new Error('broken'));
    await expect(first).rejects.toThrow('broken');
    for (const one of await Promise.all(waiting)) follower(one).leave();
    expect(second.signals).toHaveLength(1);
  });

  test('a store that opens no spool ends the request', async () => {
    const { answers, storage } = createBench();
    storage.openWriter = () => Promise.reject(new Error('full'));
    const source = new Source();
    await expect(answers.join('k', source.begin)).rejects.toThrow('full');
    expect(source.signals[0]?.aborted).toBe(true);
  });
});

describe('what is finished', () => {
  test('lingers, starts to linger anew with each who comes, then is removed', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const { answers, aborted } = createBench();
    const source = new Source();
    source.give(chunk(1), 'end');
    await readAll(follower(await answers.join('k', source.begin)));
    await turns();
    vi.advanceTimersByTime(29_999);
    const second = await answers.join('k', source.begin);
    expect(vi.getTimerCount()).toBe(0);
    expect(await readAll(follower(second))).toEqual({ seen: [1], bytes: 1000 });
    vi.advanceTimersByTime(29_999);
    expect(aborted).toEqual([]);
    vi.advanceTimersByTime(1);
    await turns();
    expect(aborted).toHaveLength(1);
    expect(source.signals).toHaveLength(1);
  });

  test('goes before its time where room is needed; what is read stays', async () => {
    const { answers, aborted, spools } = createBench({ maxBytes: 2000 });
    const [a, b, c] = [new Source(), new Source(), new Source()];
    a.give(chunk(1), 'end');
    await readAll(follower(await answers.join('a', a.begin)));
    const held = follower(await answers.join('b', b.begin));
    b.give(chunk(2), 'end');
    await turns();
    follower(await answers.join('c', c.begin));
    await turns();
    expect(aborted).toEqual([spools[0]]);
    expect(await readAll(held)).toEqual({ seen: [2], bytes: 1000 });
    await answers.close();
    expect(new Set(aborted)).toEqual(new Set(spools));
  });

  test('close fails streams, leaves no timer and no bytes, and nothing begins afterwards', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const { answers, spools, aborted } = createBench();
    const [a, b] = [new Source(), new Source()];
    a.give(chunk(1), 'end');
    await readAll(follower(await answers.join('a', a.begin)));
    const reading = readAll(follower(await answers.join('b', b.begin)));
    reading.catch(() => undefined);
    await answers.close();
    await expect(reading).rejects.toMatchObject({ code: 'shutting_down' });
    expect(vi.getTimerCount()).toBe(0);
    expect(new Set(aborted)).toEqual(new Set(spools));
    await expect(answers.join('b', b.begin)).rejects.toMatchObject({ code: 'shutting_down' });
  });
});

describe('the key', () => {
  const [a, b] = ['a'.repeat(40), 'b'.repeat(40)] as const;
  const refs = {
    head: { kind: 'absent' as const },
    refs: [
      { name: 'refs/heads/main', oid: a },
      { name: 'refs/tags/v1', oid: b, peeled: a },
    ],
  };
  const moved = { ...refs, refs: [refs.refs[0]!, { name: 'refs/tags/v1', oid: a, peeled: a }] };
  const base = createFetchRequest({ wants: [a, b], haves: [] });
  const key = (change: Partial<typeof base>, seen = refs): string => answerKey('up/a/b', { ...base, ...change }, seen);

  test.each<[string, Partial<typeof base>]>([
    ['the order of wants', { wants: [b, a] }],
    ['agent', { agent: 'git/9' }],
    ['progress', { noProgress: !base.noProgress }],
    ['framing', { sideBand: 'none' }],
    ['the version', { version: 0 }],
    ['thin-pack without haves', { thinPack: true }],
  ])('is the same whatever %s', (_, change) => {
    expect(key(change)).toBe(key({}));
  });

  test.each<[string, Partial<typeof base>]>([
    ['wants', { wants: [a] }],
    ['want-refs', { wantRefs: ['refs/heads/main'] }],
    ['depth', { deepen: { kind: 'depth', depth: 1, relative: false } }],
    ['since', { deepen: { kind: 'revs', sinceSeconds: 5, notRefs: [] } }],
    ['filter', { filter: { kind: 'blob-none' } }],
    ['shallow', { shallows: [a] }],
    ['haves', { haves: [a] }],
    ['ofs-delta', { ofsDelta: !base.ofsDelta }],
    ['include-tag', { includeTag: true }],
  ])('is another one with other %s', (_, change) => {
    expect(key(change)).not.toBe(key({}));
  });

  test('brings the refs where the answer depends on them, and only there', () => {
    expect(key({}, moved)).toBe(key({}));
    const not = { deepen: { kind: 'revs', sinceSeconds: undefined, notRefs: ['v1'] } } as const;
    for (const change of [{ includeTag: true }, { wantRefs: ['refs/tags/v1'] }, not]) {
      expect(key(change, moved)).not.toBe(key(change));
    }
    expect(answerKey('up/a/c', base, refs)).not.toBe(key({}));
  });
});

test('who rejects an answer leaves those who read it in peace and lets nobody join', async () => {
  const { answers } = createBench();
  const source = new Source();
  const first = follower(await answers.join('k', source.begin));
  source.give(chunk(1), 'end');
  first.reject();
  expect(follower(await answers.join('k', source.begin))).not.toBe(first);
  expect(source.signals).toHaveLength(2);
  let bytes = 0;
  for await (const part of first.chunks(never)) bytes += part.length;
  expect(bytes).toBe(1000);
  await answers.close();
});
