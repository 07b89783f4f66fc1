/** A warm pass over ten repositories that are not here, against ten clones of them in a row by git. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Row } from '../support/row.ts';
import { startHotpackServer } from '../support/servers.ts';
import type { Stage } from '../support/stage.ts';

const CLI = join(import.meta.dirname, '../../dist/cli.js');
/** Ten hosts with one repository each are ten repositories to hotpack. */
const HOSTS: readonly string[] = Array.from({ length: 10 }, (_, n) => `bench${n}`);
const MAX_PASS_MS = 600_000;

export async function warmPassRow({ place, upstream }: Stage): Promise<Row> {
  const counts = place.path('counts');
  const day = new Date().toISOString().slice(0, 10);
  const lines = HOSTS.map((host) => `${JSON.stringify({ repo: `${host}/repository`, day, clones: 1 })}\n`);
  writeFileSync(counts, lines.join(''));
  return {
    parts: ['ten repositories'],
    goals: [],
    contestants: [
      {
        name: 'a pass',
        async run() {
          const storage = place.path('storage');
          const env = {
            HOTPACK_UPSTREAMS: HOSTS.map((host) => `${host}=${upstream.base}`).join(','),
            HOTPACK_KV: `fs:${join(storage, 'kv')}`,
            HOTPACK_PREWARM_MOST_CLONED_REPOS: String(HOSTS.length),
          };
          await place.run(process.execPath, [CLI, 'counts', 'import', counts], { env });
          const startedAtMs = performance.now();
          const server = await startHotpackServer(place, { base: upstream.base, storage, env });
          await untilPassed(new URL(server.url).origin);
          const ms = performance.now() - startedAtMs;
          await place.stop(server.child);
          place.remove(storage);
          return [{ ms }];
        },
      },
      {
        name: 'git clone --mirror, one after the other',
        async run() {
          const startedAtMs = performance.now();
          for (const host of HOSTS) {
            const target = place.path(host);
            // oxlint-disable-next-line no-await-in-loop -- that is what it is compared with
            await place.run('git', ['-c', 'protocol.version=2', 'clone', '-q', '--mirror', upstream.url, target]);
            place.remove(target);
          }
          return [{ ms: performance.now() - startedAtMs }];
        },
      },
    ],
  };
}

/** Resolves when the pass has ended with all ten warm; throws where one is not. */
async function untilPassed(origin: string): Promise<void> {
  const deadlineMs = performance.now() + MAX_PASS_MS;
  while (performance.now() < deadlineMs) {
    // oxlint-disable-next-line no-await-in-loop -- polling
    const answer = await fetch(`${origin}/api/v1/prewarm`);
    // oxlint-disable-next-line no-await-in-loop
    const pass = (await answer.json()) as { outcome?: string; endedAt?: string | null; repos: { status: string }[] };
    if (pass.endedAt !== undefined && pass.endedAt !== null) {
      const warm = pass.repos.filter((repo) => repo.status === 'ok').length;
      if (warm !== HOSTS.length) throw new Error(`the pass ended with ${warm} of ${HOSTS.length} repositories warm`);
      return;
    }
    // oxlint-disable-next-line no-await-in-loop
    await sleep(10);
  }
  throw new Error('the pass does not end');
}
