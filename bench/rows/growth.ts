/**
 * The repository beside its own first half: what a cold clone with its fill costs the server, and what a stored answer costs, the
 * depth-1 pack of the same commit in both.
 */
import { execFileSync } from 'node:child_process';
import { ownCpuMs, usedMs } from '../support/process-usage.ts';
import type { Contestant, Row } from '../support/row.ts';
import { startHotpackServer } from '../support/servers.ts';
import { questionOf } from '../support/shapes.ts';
import { withHotpack } from '../support/sides.ts';
import { filledStage, stageOf, untilFilled, type Stage } from '../support/stage.ts';

const ASKED = 30;
/** Costs are measured on a machine that others use: so much more is no growth. */
const NOISE = 1.15;

export async function growthRow(whole: Stage): Promise<Row> {
  const half = await firstHalf(whole);
  const question = questionOf(half, 'depth-1');
  const contestant = async (name: string, stage: Stage): Promise<Contestant> => {
    const filled = await filledStage(stage);
    return {
      name: `${name}, ${objectsIn(stage)} objects`,
      run: async () => [
        await coldClone(stage),
        await withHotpack(filled, async (ask) => {
          await ask([question], { times: 3 });
          return ask([question], { times: ASKED });
        }),
      ],
    };
  };
  const growth = objectsIn(whole) / objectsIn(half);
  return {
    parts: ['cold clone with its fill', 'stored depth-1 of the same commit'],
    contestants: [await contestant('the whole', whole), await contestant('its first half', half)],
    goals: [
      { part: 0, what: 'cpuMs', atMost: growth, against: 1 },
      { part: 1, what: 'cpuMs', atMost: NOISE, against: 1 },
    ],
  };
}

async function coldClone({ place, upstream }: Stage): Promise<{ ms: number; cpuMs: number | undefined }> {
  const storage = place.path('storage');
  const target = place.path('clone');
  const server = await startHotpackServer(place, { base: upstream.base, storage });
  const before = ownCpuMs(server.pid);
  const { ms } = await place.run('git', ['clone', '-q', '--bare', server.url, target]);
  await untilFilled(storage);
  const cpuMs = usedMs(before, ownCpuMs(server.pid));
  await place.stop(server.child);
  place.remove(target);
  place.remove(storage);
  return { ms, cpuMs };
}

/** A repository of its own with the history up to the commit in the middle. */
async function firstHalf({ place, repository }: Stage): Promise<Stage> {
  const commits = git(repository, 'rev-list', '--topo-order', '--reverse', 'HEAD').split('\n');
  const folder = place.path('repository');
  await place.run('git', ['init', '-q', '--bare', '-b', 'main', folder]);
  // The commit in the middle of a list may leave much of the first half unreached; it is what the ratio is made of that counts.
  const middle = commits[commits.length >> 1] as string;
  await place.run('git', ['-C', folder, 'fetch', '-q', repository, `${middle}:refs/heads/main`]);
  return stageOf(place, folder);
}

function objectsIn({ repository }: Stage): number {
  const [, objects] = /^in-pack: (\d+)$/m.exec(git(repository, 'count-objects', '-v')) ?? [];
  return Number(objects);
}

function git(repository: string, ...args: readonly string[]): string {
  return execFileSync('git', ['-C', repository, ...args], { encoding: 'utf8', maxBuffer: 2 ** 28 }).trim();
}
