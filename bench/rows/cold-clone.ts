/**
 * `git clone --bare` of a repository that hotpack has never seen, against the same clone straight from upstream. Clients and
 * hotpack are mostly two machines: where there is `taskset` the client has the first processor for itself in both cases and hotpack
 * the others, so that what is measured is how long the client waits, not whose indexing the scheduler prefers.
 */
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import type { Row } from '../support/row.ts';
import { startHotpackServer } from '../support/servers.ts';
import { untilFilled, type Stage } from '../support/stage.ts';
import { TASKSET } from '../support/workplace.ts';

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
    parts: ['cold'],
    goals: [{ part: 0, what: 'ms', atMost: 1.1, against: 1 }],
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
