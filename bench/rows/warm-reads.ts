/**
 * Full clones and depth-1 fetches by a client that only reads: from a mirror at rest by a server that has just started, then
 * again by the same one; against `git http-backend` on the same history, repacked with bitmaps.
 */
import { join } from 'node:path';
import { childrenCpuMs, childrenEnded, ownCpuMs, peakBytes } from '../support/process-usage.ts';
import type { Row, Sample } from '../support/row.ts';
import { startHotpackServer } from '../support/servers.ts';
import type { Stage } from '../support/stage.ts';
import { untilFilled } from './cold-clone.ts';

const CLIENT = join(import.meta.dirname, '../support/reading-client.ts');

export function warmReadsRow(shape: 'full' | 'depth-1'): (stage: Stage) => Promise<Row> {
  return async (stage) => {
    const { place, upstream } = stage;
    const storage = await filledStorage(stage);
    const read = async (url: string): Promise<Sample> => {
      const { stdout } = await place.run(process.execPath, [CLIENT, url, shape]);
      return JSON.parse(stdout) as Sample;
    };
    const fromHotpack = async (): Promise<readonly Sample[]> => {
      const server = await startHotpackServer(place, { base: upstream.base, storage });
      const measured = async (): Promise<Sample> => {
        const before = ownCpuMs(server.pid);
        const sample = await read(server.url);
        return { ...sample, cpuMs: difference(before, ownCpuMs(server.pid)), peakBytes: peakBytes(server.pid) };
      };
      const samples = [await measured(), await measured(), await measured()];
      await place.stop(server.child);
      return samples;
    };
    const fromGit = async (): Promise<readonly Sample[]> => {
      const measured = async (): Promise<Sample> => {
        await childrenEnded(upstream.pid);
        const before = childrenCpuMs(upstream.pid);
        const sample = await read(upstream.url);
        await childrenEnded(upstream.pid);
        return { ...sample, cpuMs: difference(before, childrenCpuMs(upstream.pid)) };
      };
      return [await measured(), await measured(), await measured()];
    };
    const server = await startHotpackServer(place, { base: upstream.base, storage });
    for (const url of [server.url, upstream.url]) await checkPack(stage, url, shape);
    await place.stop(server.child);
    const name = shape === 'full' ? 'full clone' : 'depth-1 fetch';
    return {
      parts: [`${name} from the mirror, first after the start`, `${name}, second`, `${name}, third`],
      contestants: [
        { name: 'hotpack', run: fromHotpack },
        { name: 'git http-backend (CPU of git alone)', run: fromGit },
      ],
    };
  };
}

/** Once for all rows: a clone through hotpack fills the mirror. */
async function filledStorage(stage: Stage): Promise<string> {
  const { place, upstream } = stage;
  stage.filled ??= (async () => {
    const storage = place.path('storage');
    const server = await startHotpackServer(place, { base: upstream.base, storage });
    const target = place.path('clone');
    await place.run('git', ['clone', '-q', '--bare', server.url, target]);
    place.remove(target);
    await untilFilled(storage);
    await place.stop(server.child);
    return storage;
  })();
  return stage.filled;
}

/** git takes the pack that both sides are timed with: whole, sound, with nothing missing that a delta needs. */
async function checkPack({ place }: Stage, url: string, shape: string): Promise<void> {
  const pack = place.path('pack');
  await place.run(process.execPath, [CLIENT, url, shape, pack]);
  await place.run('git', ['index-pack', '-o', `${pack}.idx`, pack]);
  place.remove(pack);
}

function difference(before: number | undefined, after: number | undefined): number | undefined {
  return before === undefined || after === undefined ? undefined : after - before;
}
