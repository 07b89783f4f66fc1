/** Answers made before anybody asks: when, at what cost, and what they may not do. */
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { Answers } from '../../../../src/answers/answers.ts';
import type { Asking } from '../../../../src/answers/contract.ts';
import type { Traffic } from '../../../../src/popularity/contract.ts';
import { ExpectedAnswers } from '../../../../src/serve/expected/expected-answers.ts';
import type { Storage } from '../../../../src/storage/contract.ts';
import { createMemoryStorage } from '../../../../src/storage/drivers/memory.ts';
import { temporaryFolder } from '../../../support/git.ts';
import { commitUpstream, datedRepository, revision } from '../../../support/repositories.ts';
import { asker, check, createWorld, filled, keysOf, repository, type World } from '../../mirror/fake-upstream.ts';

const never = new AbortController().signal;
const asked = (...shapes: readonly string[]): Traffic['shapes'] =>
  shapes.map((shape, n) => ({ shape, count: shapes.length - n }));

interface Bench {
  readonly world: World;
  readonly answers: Answers;
  readonly expected: ExpectedAnswers;
  readonly joined: Asking[];
  /** Pieces read of packs of the mirror. */
  readonly packReads: () => number;
  readonly stored: () => Promise<number>;
  /** What clients of this process asked for. */
  shapes: Traffic['shapes'];
}

let bench: Bench;
afterEach(async () => {
  await bench.expected.stop();
  await bench.world.idle();
  await bench.answers.close();
});

function countingReads(): { readonly storage: Storage; readonly reads: () => number } {
  const storage = createMemoryStorage();
  let reads = 0;
  const open = storage.open.bind(storage);
  storage.open = async (key, signal) => {
    const reader = await open(key, signal);
    if (reader.kind === 'absent' || !key.endsWith('.pack')) return reader;
    const read = reader.read.bind(reader);
    reader.read = (...args) => (reads++, read(...args));
    return reader;
  };
  return { storage, reads: () => reads };
}

async function createBench(options: { readonly maxBytes?: number } = {}): Promise<Bench> {
  const folder = join(temporaryFolder('upstream'), 'r.git');
  cpSync(datedRepository(), folder, { recursive: true });
  const { storage, reads } = countingReads();
  let moved = (): void => undefined;
  const world = createWorld(folder, { storage, onMoved: () => moved() });
  await filled(world);
  const answers = new Answers({
    storage,
    maxBytes: options.maxBytes ?? 1 << 30,
    memoryBytes: 1 << 20,
    lingerMs: 10_000,
    onEvicted: () => undefined,
    onFailed: (error) => world.logged.push(['answer_failed', error]),
  });
  const joined: Asking[] = [];
  const expected = new ExpectedAnswers({
    mirrorOf: () => world.mirror,
    answers: {
      maxExpectedBytes: answers.maxExpectedBytes,
      find: (question) => answers.find(question),
      join: (asking, signal) => (joined.push(asking), answers.join(asking, signal)),
    },
    popularity: { shapesOf: () => bench.shapes },
    jobs: world.jobs,
    now: () => world.nowMs,
    logger: { debug() {}, info: (event, fields) => void world.logged.push([event, fields]), warn() {}, error() {} },
  });
  moved = () => expected.moved(repository);
  const stored = async (): Promise<number> => (await keysOf(storage, 'answers/')).length;
  return { world, answers, expected, joined, packReads: reads, stored, shapes: [] };
}

const settled = async (): Promise<void> => {
  await bench.world.idle();
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
};

test('each question is made once, and stored; who has it made again looks for it and reads nothing', async () => {
  bench = await createBench();
  const usedAtMs = bench.world.mirror.usedAtMs;
  await bench.expected.make(repository, asked('clone head depth=1', 'clone many filter=blob:none'), never);
  await settled();
  expect([bench.joined.length, await bench.stored()]).toEqual([2, 2]);
  expect(bench.joined[0]?.question).toMatchObject({
    wants: [revision(bench.world.upstream.folder, 'main')],
    deepen: { kind: 'depth', depth: 1 },
  });
  const reads = bench.packReads();
  expect(reads).toBeGreaterThan(0);
  await bench.expected.make(repository, [], never);
  expect([bench.joined.length, bench.packReads()]).toEqual([2, reads]);
  expect(bench.world.logged.filter(([event]) => event === 'prewarm.answers')).toMatchObject([
    ['prewarm.answers', { repo: repository.name, made: 2 }],
  ]);
  // Nobody has used the mirror.
  expect(bench.world.mirror.usedAtMs).toBe(usedAtMs);
});

test('new tips: what was asked for of this process, else what warming told of; once for each state', async () => {
  bench = await createBench();
  await bench.expected.make(repository, asked('clone head depth=1'), never);
  const next = commitUpstream(bench.world.upstream.folder);
  await check(bench.world);
  await settled();
  expect(bench.joined.slice(1).map(({ question }) => question.wants)).toEqual([[next]]);
  bench.shapes = asked('clone head depth=2 tags');
  const last = commitUpstream(bench.world.upstream.folder);
  await check(bench.world);
  await settled();
  expect(bench.joined.slice(2).map(({ question }) => [question.wants, question.deepen])).toEqual([
    [[last], { kind: 'depth', depth: 2, relative: false }],
  ]);
  await check(bench.world);
  await settled();
  expect(bench.joined).toHaveLength(3);
});

test('what is too large for it is left to those who ask', async () => {
  bench = await createBench({ maxBytes: 16 * 1000 });
  await bench.expected.make(repository, asked('clone head depth=1'), never);
  await settled();
  expect([bench.joined.length, await bench.stored()]).toEqual([1, 0]);
  expect(bench.world.logged.filter(([event]) => event === 'answer_failed')).toEqual([]);
});

test('without a mirror, and after the end, nothing is made', async () => {
  bench = await createBench();
  await bench.world.mirror.evict();
  await bench.expected.make(repository, [], never);
  expect(bench.joined).toEqual([]);
  await bench.expected.stop();
  await bench.world.mirror.warm(asker(), { signal: never });
  bench.expected.moved(repository);
  await settled();
  expect(bench.joined).toEqual([]);
  const aborted = AbortSignal.abort();
  await expect(bench.expected.make(repository, [], aborted)).rejects.toMatchObject({ code: 'aborted' });
});
