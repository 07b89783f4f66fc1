/**
 * `git clone --bare` of a repository that hotpack has never seen, against the same clone straight from upstream. Clients and
 * hotpack are mostly two machines: where there is `taskset` the client has the first processor for itself in both cases and hotpack
 * the others, so that what is measured is how long the client waits, not whose indexing the scheduler prefers.
 */
import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Row } from '../support/row.ts';
import { heldRefsFile, startHotpackServer } from '../support/servers.ts';
import type { Stage } from '../support/stage.ts';
import { TASKSET } from '../support/workplace.ts';

const MAX_FILL_MS = 300_000;
const IS_DIVIDED = existsSync(TASKSET) && availableParallelism() > 1;
const CLIENT_PROCESSORS = IS_DIVIDED ? '0' : undefined;
const HOTPACK_PROCESSORS = IS_DIVIDED ? `1-${availableParallelism() - 1}` : undefined;

export async function coldCloneRow({ place, upstream }: Stage): Promise<Row> {
  const clone = async (url: string): Promise<number> => {
    const target = place.path('clone');
    const { ms } = await place.run('git', ['-c', 'protocol.version=2', 'clone', '-q', '--bare', url, target], {
      processors: CLIENT_PROCESSORS,
    });
    place.remove(target);
    return ms;
  };
  return {
    parts: ['cold clone'],
    goals: { maxRatio: 1.1 },
    contestants: [
      {
        name: 'through hotpack',
        async run() {
          const storage = place.path('storage');
          const server = await startHotpackServer(place, {
            base: upstream.base,
            storage,
            processors: HOTPACK_PROCESSORS,
          });
          const ms = await clone(server.url);
          const fillMs = await untilFilled(storage);
          await place.stop(server.child);
          place.remove(storage);
          return [{ ms, fillMs }];
        },
      },
      { name: 'direct', run: async () => [{ ms: await clone(upstream.url) }] },
    ],
  };
}

/** The mirror is ready once its refs are shown: they come last. */
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

function readRefs(storage: string): string {
  try {
    return readFileSync(heldRefsFile(storage), 'latin1');
  } catch {
    return '';
  }
}
