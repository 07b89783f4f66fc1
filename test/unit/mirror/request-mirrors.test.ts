/** What requests hand over where none does work of its own: once for each state of upstream's refs, whichever list a client asked for. */
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { MirrorTask } from '../../../src/mirror/edge/mirror-task.ts';
import { RequestMirrors } from '../../../src/mirror/edge/request-mirrors.ts';
import type { RefsScope } from '../../../src/mirror/refs/refs-ledger.ts';
import type { Logger } from '../../../src/telemetry/logger.ts';
import { gitSync, temporaryFolder } from '../../support/git.ts';
import { commitUpstream, datedRepository } from '../../support/repositories.ts';
import { asker, createWorld, filled, repository } from './fake-upstream.ts';

test('what has moved is handed over when a client sees it, and what has not is not again within half a minute', async () => {
  const folder = join(temporaryFolder('upstream'), 'r.git');
  cpSync(datedRepository(), folder, { recursive: true });
  gitSync(['update-ref', 'refs/pull/1/head', 'refs/heads/main'], { cwd: folder });
  const world = createWorld(folder);
  await filled(world);
  const silent = (): void => undefined;
  const tasks: MirrorTask[] = [];
  const mirrors = new RequestMirrors(
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
