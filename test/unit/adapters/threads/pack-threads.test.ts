import { getEventListeners } from 'node:events';
import { afterEach, expect, test } from 'vitest';
import {
  createPackThreads,
  type PackThreadPool,
  type PackThreadsOptions,
} from '../../../../adapters/threads/pack-threads.ts';
import { HotpackError } from '../../../../src/bytes/error.ts';
import type { IngestParams } from '../../../../src/mirror/tasks.ts';

const pools: PackThreadPool[] = [];
afterEach(async () => {
  await Promise.all(pools.splice(0).map((pool) => pool.close()));
});

function open(options: Partial<PackThreadsOptions> = {}): PackThreadPool {
  const entry = new URL('./thread-fixture.ts', import.meta.url);
  const pool = createPackThreads({
    entry,
    storage: { kind: 'fs', folder: '/nowhere' },
    caching: { memoryBytes: 0, disk: undefined },
    readsInPlace: false,
    threads: 1,
    servingThreads: 1,
    ...options,
  });
  pools.push(pool);
  return pool;
}

/** A task of the fixture: what to do goes by the pack's name. */
function task(packName: string): IngestParams {
  return { kind: 'ingest', packFolder: 'f', packName, existing: [], tips: [], memoryBytes: 1 };
}

function run(
  pool: PackThreadPool,
  name: string,
  chunks: AsyncIterable<Uint8Array>,
  signal = never(),
): Promise<unknown> {
  return pool.run(task(name), chunks, signal);
}

function never(): AbortSignal {
  return new AbortController().signal;
}

async function* bytes(...chunks: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}

test('a task sees every byte of its source, and the source keeps its own buffers', async () => {
  const shared = new Uint8Array(3 * 2 ** 20 + 7).fill(3);
  const chunks = [shared.subarray(0, 5), shared.subarray(5), Buffer.from([1, 2]), new Uint8Array(0)];
  const result = await run(open(), 'count', bytes(...chunks));
  expect(result).toMatchObject({ bytes: shared.byteLength + 2, sum: shared.byteLength * 3 + 3 });
  expect(shared.byteLength).toBe(3 * 2 ** 20 + 7);
});

test('the source is held back at the window while the task takes nothing', async () => {
  let yielded = 0;
  async function* endless(): AsyncGenerator<Uint8Array> {
    while (yielded < 64 * 2 ** 20) {
      yielded += 2 ** 16;
      yield new Uint8Array(2 ** 16);
    }
  }
  const aborter = new AbortController();
  const running = run(open(), 'take-none', endless(), aborter.signal);
  // Enough turns for 100 times the window, were it not there.
  for (let turn = 0; turn < 6400; turn++) await new Promise((resolve) => setImmediate(resolve));
  expect(yielded).toBeGreaterThan(2 * 2 ** 20);
  expect(yielded).toBeLessThanOrEqual(4 * 2 ** 20 + 2 * 2 ** 16);
  aborter.abort();
  await expect(running).rejects.toMatchObject({ code: 'aborted' });
});

test('a task that stops reading ends its source', async () => {
  let ended = false;
  async function* source(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) yield new Uint8Array(2 ** 20);
    } finally {
      ended = true;
    }
  }
  await expect(run(open(), 'take-one', source())).resolves.toMatchObject({ bytes: 2 ** 20 });
  await expect.poll(() => ended).toBe(true);
});

test('an error keeps its code, message, detail and cause', async () => {
  const error = await run(open(), 'malformed', bytes()).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(HotpackError);
  expect(error).toMatchObject({ code: 'malformed_pack', message: 'bad trailer', detail: { offset: 12 } });
  expect((error as Error).cause).toMatchObject({ message: 'the cause' });
});

test('a source that fails fails its task with that error', async () => {
  async function* source(): AsyncGenerator<Uint8Array> {
    yield new Uint8Array(10);
    throw new HotpackError('upstream_unavailable', 'cut off', { detail: { status: 502 } });
  }
  const running = run(open(), 'count', source());
  await expect(running).rejects.toMatchObject({ code: 'upstream_unavailable', detail: { status: 502 } });
});

test('an aborted task that lets go leaves its thread and its neighbours running', async () => {
  const pool = open();
  const aborter = new AbortController();
  const first = run(pool, 'take-none', bytes(new Uint8Array(1)), aborter.signal);
  const before = (await run(pool, 'count', bytes(new Uint8Array(1)))) as { threadId: number };
  aborter.abort();
  await expect(first).rejects.toMatchObject({ code: 'aborted' });
  await expect(run(pool, 'count', bytes(new Uint8Array(1)))).resolves.toMatchObject({ threadId: before.threadId });
  expect(getEventListeners(aborter.signal, 'abort')).toHaveLength(0);
});

test('an aborted task that does not let go is ended with its thread', async () => {
  const lost: Error[] = [];
  const pool = open({ stopWithinMs: 50, onLost: (error) => lost.push(error) });
  const aborter = new AbortController();
  const running = run(pool, 'deaf', bytes(), aborter.signal);
  aborter.abort();
  await expect(running).rejects.toMatchObject({ code: 'aborted' });
  expect(lost).toHaveLength(1);
  await expect(run(pool, 'count', bytes(new Uint8Array([5])))).resolves.toMatchObject({ sum: 5 });
});

test('a signal that fired before starts nothing', async () => {
  const running = run(open(), 'count', bytes(), AbortSignal.abort());
  await expect(running).rejects.toMatchObject({ code: 'aborted' });
});

test('a thread that crashes rejects its tasks and is replaced', async () => {
  const lost: Error[] = [];
  const pool = open({ onLost: (error) => lost.push(error) });
  const other = run(pool, 'deaf', bytes());
  const crashed = run(pool, 'crash', bytes());
  for (const running of [other, crashed]) {
    const error = (await running.catch((thrown: unknown) => thrown)) as Error;
    expect(error.message).toMatch(/thread ended/);
    expect(error.cause).toMatchObject({ message: 'boom' });
  }
  expect(lost).toHaveLength(1);
  await expect(run(pool, 'count', bytes(new Uint8Array([7])))).resolves.toMatchObject({ sum: 7 });
});

test('tasks share as many threads as there are, and no more', async () => {
  const pool = open({ threads: 2 });
  const results = await Promise.all([1, 2, 3, 4, 5].map((byte) => run(pool, 'count', bytes(new Uint8Array([byte])))));
  expect(results).toMatchObject([{ sum: 1 }, { sum: 2 }, { sum: 3 }, { sum: 4 }, { sum: 5 }]);
  expect(new Set(results.map((result) => (result as { threadId: number }).threadId)).size).toBe(2);
});
