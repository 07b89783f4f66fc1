/** Indexing the repository's pack: ours in a child process against `git index-pack --threads=1`. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Row } from './support/row.ts';
import { sample } from './support/row.ts';

export function indexPackRow(folder: string): Row {
  const packs = join(folder, 'objects/pack');
  const [file] = readdirSync(packs).filter((name) => name.endsWith('.pack'));
  if (file === undefined) throw new Error(`no pack in ${folder}`);
  const pack = join(packs, file);
  const scratch = mkdtempSync(join(tmpdir(), 'hotpack-bench-'));
  process.once('exit', () => rmSync(scratch, { recursive: true, force: true }));
  const child = join(import.meta.dirname, 'support/index-pack-child.ts');
  return {
    name: 'index-pack',
    contestants: [
      {
        name: 'hotpack',
        run: () => sample(process.execPath, [child, pack, join(scratch, 'ours')], 'reports-peak'),
      },
      {
        name: 'git index-pack --threads=1',
        run: () =>
          sample('git', ['index-pack', '--threads=1', '--rev-index', '-o', join(scratch, 'git.idx'), pack], 'silent'),
      },
    ],
  };
}
