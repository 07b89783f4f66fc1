/** What requests hand over where none does work of its own: once for each state of upstream's refs, whichever list a client asked for. */
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { MirrorTask } from '../../../src/mirror/edge/mirror-task.ts';
import { RequestMirrors } from '../../../src/mirror/edge/request-mirrors.ts';
import type { RefsScope } from '../../../src/mirror/refs/refs-ledger.ts';
import type { Logger } from '../../../src/telemetry/logger.ts';
import { gitSync, temporaryFolder } from '../../support/git.ts';
import { commitUpstream, datedRepository, revision } from '../../support/repositories.ts';
import { asker, createWorld, filled, repository } from './fake-upstream.ts';

/** A mirror is filled, and `isolate` makes what an isolate has of it: memory of its own over the same store. */
async function openTown() {
  const folder = join(temporaryFolder('upstream'), 'r.git');
  cpSync(datedRepository(), folder, { recursive: true });
  gitSync(['update-ref', 'refs/pull/1/head', 'refs/heads/main'], { cwd: folder });
  const world = createWorld(folder);
  await filled(world);
  const silent = (): void => undefined;
  const tasks: MirrorTask[] = [];
  const reads: string[] = [];
  const readAll = world.storage.readAll.bind(world.storage);
  world.storage.readAll = (key, ...rest) => {
    reads.push(key);
    return readAll(key, ...rest);
  };
  const isolate = (): RequestMirrors =>
    new RequestMirrors(
      {
        storage: world.storage,
        upstream: world.upstream,
        threads: undefined,
        now: () => world.nowMs,
        logger: { debug: silent, info: silent, warn: silent, error: silent } as Logger,
        ingestBytes: 8 << 20,
        cacheBytes: 4 << 20,
        refCheckIntervalMs: 0,
      },
      { maxRefs: 1_000, handOver: async (task) => void tasks.push(task), onEmptied: async () => undefined },
    );
  return { folder, world, tasks, reads, isolate };
}

test('what has moved is handed over when a client sees it, and what has not is not again within half a minute', async () => {
  const { folder, world, tasks, isolate } = await openTown();
  const mirrors = isolate();
  /** How many tasks there are once a client has seen refs, so long after the one before. */
  const seen = async (scope: RefsScope, afterMs: number): Promise<number> => {
    world.nowMs += afterMs;
    const work: Promise<unknown>[] = [];
    const client = { ...asker(), visibility: 'public' as const };
    await mirrors.of(repository, (one) => void work.push(one)).refs(scope, { arrivedAtMs: world.nowMs, asker: client });
    for (const one of work) await one;
    return tasks.length;
  };
  expect(await seen('branches', 60_000)).toBe(0);
  commitUpstream(folder);
  expect(await seen('branches', 2_000)).toBe(1);
  // As `git ls-remote` asks, and clients of v0 do.
  commitUpstream(folder);
  expect(await seen('all', 2_000)).toBe(2);
  commitUpstream(folder);
  // Publications of a repository are a second apart.
  expect([await seen('all', 500), await seen('all', 700)]).toEqual([2, 3]);
  expect([await seen('branches', 2_000), await seen('all', 2_000)]).toEqual([3, 3]);
  expect(await seen('branches', 31_000)).toBe(4);
  expect(tasks).toMatchObject(Array.from({ length: 4 }, () => ({ wants: [], askedBy: 'somebody' })));
});

test('what another isolate has brought, and upstream showed it, is given away without asking upstream', async () => {
  const { folder, world, reads, isolate } = await openTown();
  const [serving, filling] = [isolate(), isolate()];
  const never = new AbortController().signal;
  const client = { ...asker(), visibility: 'public' as const };
  const old = revision(folder, 'main');
  await serving.of(repository).refs('branches', { arrivedAtMs: world.nowMs, asker: client });
  const tip = commitUpstream(folder);
  world.nowMs += 2_000;
  const work: Promise<unknown>[] = [];
  expect(await filling.own(repository, (one) => void work.push(one)).warm(asker(), { signal: never })).toBe('fetched');
  for (const one of work) await one;

  /** Which of them upstream must be asked for, and how often the store was asked for what upstream showed. */
  const unconfirmed = async (...wants: readonly string[]): Promise<unknown> => {
    const mirror = serving.of(repository);
    const snapshot = await mirror.snapshot();
    reads.length = 0;
    const left = snapshot && (await mirror.unconfirmedWants(snapshot, wants, never));
    snapshot?.release();
    return [left, reads.filter((key) => key.endsWith('/advertised')).length];
  };
  expect(await unconfirmed(old)).toEqual([[], 0]);
  expect(await unconfirmed(old, tip)).toEqual([[], 1]);
  expect(await unconfirmed(tip)).toEqual([[], 0]);
  // What upstream was seen to show no more is upstream's to give.
  gitSync(['update-ref', 'refs/heads/main', old], { cwd: folder });
  world.nowMs += 2_000;
  await serving.of(repository).refs('branches', { arrivedAtMs: world.nowMs, asker: client });
  expect(await unconfirmed(tip)).toEqual([[tip], 1]);
});
