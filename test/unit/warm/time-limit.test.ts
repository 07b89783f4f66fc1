/** What counts against the time limits of warming: upstream's time, and not that of the jobs before it. */
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createClaims } from '../../../src/jobs/claims.ts';
import type { JobKind } from '../../../src/jobs/job.ts';
import { warmRepository, type Attempt, type Staged } from '../../../src/warm/warm-repository.ts';
import { temporaryFolder } from '../../support/git.ts';
import { commitUpstream, datedRepository } from '../../support/repositories.ts';
import { asker, CAPABILITIES, createWorld, filled, repository, type World } from '../mirror/fake-upstream.ts';

const LIMIT_MS = 1_000;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

interface Warmed {
  readonly world: World;
  readonly done: Promise<Attempt | Staged>;
  ended: boolean;
}

function copyOf(original: string): string {
  const folder = join(temporaryFolder('upstream'), 'r.git');
  cpSync(original, folder, { recursive: true });
  return folder;
}

/** Takes every place there is for such jobs, until told otherwise. */
function takePlaces(world: World, kind: JobKind): () => void {
  const gate = Promise.withResolvers<void>();
  for (let place = 0; place < 4; place++) {
    const name = `other${place}`;
    world.jobs.submit({
      kind,
      repo: name,
      key: name,
      priority: 'soon',
      abandonWhenUnwatched: false,
      run: () => gate.promise,
    });
  }
  return gate.resolve;
}

/** Upstream takes `probeMs` for the first question. */
function begin(world: World, { probeMs = 0 }: { readonly probeMs?: number } = {}): Warmed {
  const { storage } = world;
  const now = (): number => world.nowMs;
  const done = warmRepository(
    {
      mirrorOf: () => world.mirror,
      upstream: {
        probeAsHotpack: async () => {
          if (probeMs > 0) await new Promise((resolve) => setTimeout(resolve, probeMs));
          return { kind: 'ok', objectFormat: 'sha1', transport: { kind: 'v2', capabilities: CAPABILITIES } };
        },
      },
      claims: createClaims({ storage, holder: 'one', now }),
      now,
      fetchTimeoutMs: LIMIT_MS,
      cloneTimeoutMs: LIMIT_MS,
    },
    { repository, wasHere: false, waits: true },
    new AbortController().signal,
  );
  const warmed: Warmed = { world, done, ended: false };
  void done.then(() => (warmed.ended = true));
  return warmed;
}

async function pass(ms: number): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
  await vi.advanceTimersByTimeAsync(ms);
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
}

test('a clone that waits long for its place has all of its time when it has it', async () => {
  const world = createWorld(copyOf(datedRepository()));
  const giveBack = takePlaces(world, 'fill');
  const warmed = begin(world, { probeMs: LIMIT_MS / 2 });
  await pass(LIMIT_MS / 2);
  expect(world.jobs.snapshot()).toMatchObject({ running: 2, waiting: 3 });
  await pass(100 * LIMIT_MS);
  expect(warmed.ended).toBe(false);
  expect(world.upstream.fetches).toEqual([]);
  giveBack();
  expect(await warmed.done).toMatchObject({ result: { path: 'clone', status: 'ok' } });
});

test('an update that waits for its place has all of its time, and so has one behind the fill of a client', async () => {
  const folder = copyOf(datedRepository());
  const world = createWorld(folder);
  await filled(world);
  commitUpstream(folder);
  world.nowMs += 60_000;
  const giveBack = takePlaces(world, 'update');
  const warmed = begin(world);
  await pass(100 * LIMIT_MS);
  expect(warmed.ended).toBe(false);
  giveBack();
  expect(await warmed.done).toMatchObject({ result: { status: 'ok' } });

  const cold = createWorld(folder);
  const clear = takePlaces(cold, 'fill');
  const answer = await cold.mirror.refs('branches', { arrivedAtMs: cold.nowMs, asker: asker('secret') });
  if (answer.kind !== 'known') throw new Error('no refs');
  cold.mirror.fill({ refs: answer.check.refs, asker: asker('secret') });
  const joined = begin(cold);
  await pass(100 * LIMIT_MS);
  expect(joined.ended).toBe(false);
  clear();
  expect(await joined.done).toMatchObject({ result: { path: 'clone', status: 'ok' } });
  expect(cold.upstream.fetches).toHaveLength(1);
});

test('an upstream that hangs once the work runs is given what its first answers have left', async () => {
  const world = createWorld(copyOf(datedRepository()));
  world.upstream.nextFetch.push({ hold: new Promise(() => undefined) });
  const giveBack = takePlaces(world, 'fill');
  const warmed = begin(world, { probeMs: 400 });
  await pass(400);
  await pass(100 * LIMIT_MS);
  giveBack();
  await pass(0);
  expect(world.upstream.fetches).toHaveLength(1);
  await pass(599);
  expect(warmed.ended).toBe(false);
  await pass(1);
  expect(await warmed.done).toMatchObject({ result: { status: 'timeout' } });
  await world.idle();
  expect(world.upstream.fetches[0]?.wasCancelled).toBe(true);
});
