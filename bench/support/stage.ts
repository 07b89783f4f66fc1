/** What every row finds: the repository, bare, in one pack with a bitmap, and a server that serves it by git. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { heldRefsFile, startGitServer, startHotpackServer } from './servers.ts';
import type { RunningServer } from './servers.ts';
import type { Workplace } from './workplace.ts';

const MAX_FILL_MS = 600_000;

export interface Stage {
  readonly place: Workplace;
  /** Bare, all refs of the original, one pack. */
  readonly repository: string;
  readonly upstream: RunningServer & { readonly base: string };
}

/** A stage with a storage folder that holds a filled mirror. */
export type FilledStage = Stage & { readonly filled: string };

/** `source`: a repository or a bundle; it is only read. */
export async function createStage(place: Workplace, source: string): Promise<Stage> {
  const repository = place.path('repository');
  await place.run('git', ['clone', '-q', '--mirror', '--no-local', source, repository]);
  await pointHead(place, repository);
  return stageOf(place, repository);
}

/** Bundles may come without a HEAD, and a HEAD may name a branch that is not there: then the newest branch is it. */
async function pointHead(place: Workplace, repository: string): Promise<void> {
  const git = async (...args: readonly string[]): Promise<string> =>
    (await place.run('git', ['-C', repository, ...args])).stdout.trim();
  if ((await git('for-each-ref', '--format=x', await git('symbolic-ref', 'HEAD'))) !== '') return;
  const newest = ['for-each-ref', '--sort=-committerdate', '--count=1', '--format=%(refname)', 'refs/heads'];
  await git('symbolic-ref', 'HEAD', await git(...newest));
}

/** A stage of a bare repository that is its own. */
export async function stageOf(place: Workplace, repository: string): Promise<Stage> {
  await place.run('git', ['-C', repository, 'repack', '-adbq']);
  return { place, repository, upstream: await startGitServer(place, repository) };
}

const filledStages = new WeakMap<Stage, Promise<FilledStage>>();

/** Once for all rows: a clone through hotpack fills the mirror. */
export function filledStage(stage: Stage): Promise<FilledStage> {
  const present = filledStages.get(stage);
  if (present !== undefined) return present;
  const filling = fillStage(stage);
  filledStages.set(stage, filling);
  return filling;
}

async function fillStage(stage: Stage): Promise<FilledStage> {
  const { place, upstream } = stage;
  const storage = place.path('storage');
  const server = await startHotpackServer(place, { base: upstream.base, storage });
  const target = place.path('clone');
  await place.run('git', ['clone', '-q', '--bare', server.url, target]);
  place.remove(target);
  await untilFilled(storage);
  await untilBitmapped(storage);
  await place.stop(server.child);
  return { ...stage, filled: storage };
}

/** The mirror is ready once its refs are shown: they come last. Resolves with how long that took. */
export async function untilFilled(storage: string): Promise<number> {
  const startedAtMs = performance.now();
  for (;;) {
    const ms = performance.now() - startedAtMs;
    if (readRefs(storage).includes('refs/')) return ms;
    if (ms > MAX_FILL_MS) throw new Error('the mirror is not filled');
    // oxlint-disable-next-line no-await-in-loop -- polling
    await sleep(5);
  }
}

/** The last thing that is done with a new mirror; git's side has its bitmap too. */
async function untilBitmapped(storage: string): Promise<void> {
  const packs = join(dirname(heldRefsFile(storage)), 'objects/pack');
  const startedAtMs = performance.now();
  while (!readdirSync(packs).some((name) => name.endsWith('.bitmap'))) {
    if (performance.now() - startedAtMs > MAX_FILL_MS) throw new Error('the mirror has no bitmap');
    // oxlint-disable-next-line no-await-in-loop -- polling
    await sleep(20);
  }
}

function readRefs(storage: string): string {
  try {
    return readFileSync(heldRefsFile(storage), 'latin1');
  } catch {
    return '';
  }
}
