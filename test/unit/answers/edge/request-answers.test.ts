import { afterEach, expect, test, vi } from 'vitest';
import { usedKey } from '../../../../src/answers/edge/used.ts';
import { evictAnswers } from '../../../../src/answers/edge/evict-answers.ts';
import { EdgeAnswers } from '../../../../src/answers/edge/request-answers.ts';
import { AnswerSpool } from '../../../../src/answers/stored/answer-spool.ts';
import { answerPlace } from '../../../../src/answers/stored/stored-answers.ts';
import type { AnswerCache } from '../../../../src/answers/contract.ts';
import type { Storage } from '../../../../src/storage/contract.ts';
import { createMemoryStorage } from '../../../../src/storage/drivers/memory.ts';
import { a, asking, chunk, DATA, follower, never, numbers, PACKET, Source } from '../support.ts';

afterEach(() => vi.useRealTimers());

interface Edge {
  /** For a request of its own. */
  readonly request: () => AnswerCache;
  /** What requests have left to do behind their answers. */
  readonly behind: () => Promise<unknown>;
  readonly stored: () => Promise<string[]>;
  readonly failures: unknown[];
}

function createEdge(storage: Storage = createMemoryStorage(), maxBytes = 1 << 30): Edge {
  const kept: Promise<unknown>[] = [];
  const failures: unknown[] = [];
  const answers = new EdgeAnswers({ storage, maxBytes, now: Date.now, onFailed: (error) => failures.push(error) });
  return {
    request: () => answers.of((work) => void kept.push(work)),
    behind: () => Promise.all(kept),
    stored: async () => (await storage.list('answers/')).objects.map((one) => one.key),
    failures,
  };
}

const dear = (...chunks: readonly number[]): Source => {
  const source = new Source().give(...chunks.map((n) => chunk(n)), 'end');
  source.costUs = 1e6;
  return source;
};

/** How many bytes the client of `join` got. */
async function take(joined: Awaited<ReturnType<AnswerCache['join']>>): Promise<number> {
  let bytes = 0;
  for await (const run of follower(joined).packets(never)) bytes += run.length;
  return bytes;
}

test('each makes it for himself; one of them stores it, and whoever comes later finds it', async () => {
  const edge = createEdge();
  const [one, two, three] = [dear(1, 2), dear(1, 2), dear(1, 2)];
  const first = await edge.request().join(asking('k', one.make));
  expect(edge.request().takes(asking('k', two.make))).toBe(false);
  const second = await edge.request().join(asking('k', two.make));
  expect(await Promise.all([first, second].map(take))).toEqual([2 * PACKET, 2 * PACKET]);
  await edge.behind();
  expect([one.ended, two.ended, await edge.stored()]).toEqual([1, 1, [answerPlace(asking('k', one.make).question)]]);
  const found = await edge.request().find(asking('k', three.make).question);
  expect(found?.header).toMatchObject({ packBytes: 2 * DATA, objects: 7, shallow: [a] });
  expect(edge.failures).toEqual([]);
});

test('what is cheap is stored with the second demand; with tags it is found by what they add', async () => {
  const storage = createMemoryStorage();
  const [edge, isolate] = [createEdge(storage), createEdge(storage)];
  const cheap = (): Source => {
    const source = new Source().give(chunk(1), 'end');
    source.costUs = 5_000;
    source.variant = 'v1';
    return source;
  };
  const ask = asking('k', cheap().make, { tags: 'a'.repeat(40) });
  for (const count of [0, 1]) {
    expect(await take(await edge.request().join({ ...ask, make: cheap().make }))).toBe(PACKET);
    await edge.behind();
    expect(await edge.stored()).toHaveLength(count);
  }
  expect((await edge.request().find(ask.question))?.header.tags).toBe(ask.question.tags);
  // By another isolate too, which knows nothing of it.
  expect((await isolate.request().find(ask.question))?.header.tags).toBe(ask.question.tags);
  // Other tags could be added, and what is added is the same.
  const other = { ...ask, make: cheap().make, question: { ...ask.question, tags: 'b'.repeat(40) } };
  expect(await edge.request().find(other.question)).toBeUndefined();
  expect((await edge.request().join(other)).kind).toBe('stored');
  expect((await edge.request().find(other.question))?.header.tags).toBe(ask.question.tags);
});

test('who leaves, before or in the midst of it, leaves nothing; another may store it then', async () => {
  const edge = createEdge();
  for (const read of [0, 1]) {
    const source = dear(1, 2, 3);
    const one = follower(await edge.request().join(asking('k', source.make)));
    const packets = one.packets(never);
    for (let n = 0; n < read; n++) await packets.next();
    await packets.return();
    one.leave();
    await edge.behind();
    expect([source.ended, await edge.stored()]).toEqual([1, []]);
  }
  expect(edge.request().takes(asking('k', dear(1).make))).toBe(true);
});

test('a store that hangs or fails keeps nobody from his answer; neither does one that grows too long', async () => {
  vi.useFakeTimers();
  const hanging = createMemoryStorage();
  hanging.openWriter = () => new Promise(() => undefined);
  const failing = createMemoryStorage();
  failing.openWriter = () => Promise.reject(new Error('down'));
  for (const [storage, maxBytes, failures] of [
    [hanging, 1 << 30, 1],
    [failing, 1 << 30, 1],
    [createMemoryStorage(), 3 * PACKET, 0],
  ] as const) {
    const edge = createEdge(storage, maxBytes);
    const got = take(await edge.request().join(asking('k', dear(1, 2).make)));
    await vi.advanceTimersByTimeAsync(5_000);
    expect(await got).toBe(2 * PACKET);
    expect([edge.failures.length, await edge.stored()]).toEqual([failures, []]);
  }
});

test('beyond their room those go that were cheap for their size, the longer ago they were used the sooner', async () => {
  const storage = createMemoryStorage();
  const keep = async (key: string, costUs: number): Promise<void> => {
    const header = { packBytes: 1_000, objects: 1, costUs, tags: undefined, shallow: [], unshallow: [] };
    const spool = await AnswerSpool.open(storage, `answers/up/a.git/${key}`, header);
    await spool.write(new Uint8Array(1_005));
    await spool.keep(header);
    await spool.abort();
  };
  for (const n of numbers(10)) await keep(`k${n}`, n === 3 ? 1e9 : 1_000 * n);
  await storage.put(usedKey('answers/up/a.git/k1'), new Uint8Array(1));
  await storage.put(usedKey('answers/up/gone.git/k'), new Uint8Array(1));
  const bytes = (await storage.list('answers/')).objects.reduce((sum, one) => sum + one.bytes, 0);
  const left = async (prefix: string): Promise<string[]> =>
    (await storage.list(prefix)).objects.map(({ key }) => key.slice(key.lastIndexOf('/') + 1)).toSorted();
  const evict = (maxBytes: number): Promise<number> => evictAnswers({ storage, maxBytes, now: Date.now }, never);
  expect(await evict(bytes)).toBe(0);
  expect(await evict(bytes / 2)).toBe(6);
  expect(await left('answers/')).toEqual(['k10', 'k3', 'k8', 'k9']);
  expect(await left('jobs/used/')).toEqual([]);
});
