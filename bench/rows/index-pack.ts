/** Indexing the repository's pack: ours in a child process against `git index-pack --threads=1`. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Row } from '../support/row.ts';
import type { Stage } from '../support/stage.ts';

const CHILD = join(import.meta.dirname, '../children/index-pack.ts');

export async function indexPackRow({ place, repository }: Stage): Promise<Row> {
  const packs = join(repository, 'objects/pack');
  const [file] = readdirSync(packs).filter((name) => name.endsWith('.pack'));
  if (file === undefined) throw new Error(`no pack in ${repository}`);
  const pack = join(packs, file);
  return {
    parts: ['the whole pack'],
    goals: [
      { part: 0, what: 'ms', atMost: 1, against: 1 },
      { part: 0, what: 'peakBytes', atMost: 300e6 },
    ],
    contestants: [
      {
        name: 'hotpack',
        async run() {
          const { ms, cpuMs, stdout } = await place.run(process.execPath, [CHILD, pack, join(place.folder, 'ours')]);
          return [{ ms, cpuMs, peakBytes: (JSON.parse(stdout) as { peakBytes: number }).peakBytes }];
        },
      },
      {
        name: 'git index-pack --threads=1',
        async run() {
          const out = join(place.folder, 'git.idx');
          const { ms, cpuMs } = await place.run('git', ['index-pack', '--threads=1', '--rev-index', '-o', out, pack]);
          return [{ ms, cpuMs }];
        },
      },
    ],
  };
}
