/** Whose tasks keep to the room that is there: what a pass hands over does, what somebody wants here does not. */
import { expect, test } from 'vitest';
import { createClaims } from '../../../src/jobs/claims.ts';
import type { MirrorTask } from '../../../src/mirror/edge/mirror-task.ts';
import type { FillRoom, Heat } from '../../../src/mirror/maintenance/space/fill-rooms.ts';
import { createMemoryStorage } from '../../../src/storage/drivers/memory.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { createMetrics } from '../../../src/telemetry/metrics.ts';
import { repositoryOfName } from '../../../src/upstream/repository.ts';
import type { WarmedRepository } from '../../../src/warm/contract.ts';
import { performTask, type TaskDeps } from '../../../src/warm/perform-task.ts';

const UPSTREAMS = new Map([['up', { name: 'up', baseUrl: 'http://up', ignoresCase: false }]]);
const repository = repositoryOfName('up/a', UPSTREAMS);
const task: MirrorTask = { repository, wants: [], askedAtMs: 1, askedBy: 'pass' };
const heat: Heat = { root: `mirrors/${repository.key}`, clones: 3, askedAtMs: 0, clonesOf: () => 0 };

interface Played {
  readonly deps: TaskDeps;
  /** Every question for heat and room, every room that a fill was given, and every release. */
  readonly seen: unknown[];
  readonly results: WarmedRepository[];
}

function play(how: { readonly isHere?: boolean; readonly isNone?: boolean; readonly heat?: Heat | undefined }): Played {
  const { isHere = false, isNone = false } = how;
  const storage = createMemoryStorage();
  const seen: unknown[] = [];
  const results: WarmedRepository[] = [];
  const now = (): number => 1_000;
  const room: FillRoom = { isNone, take: () => true, release: () => seen.push('released') };
  const deps: TaskDeps = {
    storage,
    upstream: {
      probeAsHotpack: async () => ({
        kind: 'ok',
        objectFormat: 'sha1',
        transport: { kind: 'v2', capabilities: [] },
      }),
    },
    popularity: {
      top: () => Promise.reject(new Error('not asked for here')),
      traffic: () => Promise.reject(new Error('not asked for here')),
    },
    claims: createClaims({ storage, holder: 'one', now }),
    mirrorOf: () => ({
      lastAskedAtMs: undefined,
      fetchWants: async () => 'here',
      isHere: async () => isHere,
      warm: async (_, __, given) => {
        seen.push(given === room ? 'filled within a room' : 'filled');
        return 'cloned';
      },
    }),
    roomFor: async (asked) => {
      seen.push(asked);
      return room;
    },
    heatOf: async () => {
      seen.push('counted');
      return 'heat' in how ? how.heat : heat;
    },
    onEnded: async (_, result) => void results.push(result),
    histogramTimeoutMs: 1_000,
    fetchTimeoutMs: 1_000,
    cloneTimeoutMs: 1_000,
    now,
    logger: createLogger({ sink: () => undefined, level: 'debug', now, secrets: [] }),
    metrics: createMetrics(),
  };
  return { deps, seen, results };
}

const perform = (played: Played, askedBy: MirrorTask['askedBy']): Promise<unknown> =>
  performTask(played.deps, { ...task, askedBy }, { timeoutMs: 10_000 });

test('a fill that a pass handed over is given the room that its heat allows, and gives it back', async () => {
  const played = play({});
  expect(await perform(played, 'pass')).toBe('done');
  expect(played.seen).toEqual(['counted', heat, 'filled within a room', 'released']);
  expect(played.results).toMatchObject([{ path: 'clone', status: 'ok' }]);
});

test('where there is none, upstream is not asked, and it is not tried again', async () => {
  const played = play({ isNone: true });
  expect(await perform(played, 'pass')).toBe('done');
  expect(played.seen).toEqual(['counted', heat]);
  const error = 'no room but that of mirrors that are cloned more';
  expect(played.results).toMatchObject([{ path: 'clone', status: 'skipped', error }]);
});

test('what somebody asked for counts nothing and looks at no room', async () => {
  const played = play({ isNone: true });
  expect(await perform(played, 'somebody')).toBe('done');
  expect(played.seen).toEqual(['filled']);
});

test('an update, and a fill where there is no limit, look at no room', async () => {
  const here = play({ isHere: true, isNone: true });
  await perform(here, 'pass');
  const unlimited = play({ isNone: true, heat: undefined });
  await perform(unlimited, 'pass');
  expect([here.seen, unlimited.seen]).toEqual([
    ['counted', 'filled'],
    ['counted', 'filled'],
  ]);
});
