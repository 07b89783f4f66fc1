/**
 * `node bench/run.ts [--repo PATH]`: every row on one repository (bare, one pack), each contestant in a fresh process, in
 * turn, medians of five with the raw values. Without `--repo` a seeded repository is made once and kept.
 */
import { execFileSync } from 'node:child_process';
import { cpus, release, totalmem } from 'node:os';
import { indexPackRow } from './index-pack.ts';
import type { RowFactory } from './support/row.ts';
import { runRow } from './support/row.ts';
import { seededRepository } from './support/seeded-repository.ts';

const ROWS: readonly RowFactory[] = [indexPackRow];

const at = process.argv.indexOf('--repo');
const folder = at >= 0 ? (process.argv[at + 1] ?? '') : await seededRepository();
const git = execFileSync('git', ['--version'], { encoding: 'utf8' }).trim();
console.log(
  `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, ${Math.round(totalmem() / 2 ** 30)} GiB, ${process.platform} ${release()}; node ${process.version}; ${git}`,
);
console.log(
  execFileSync('git', ['-C', folder, 'count-objects', '-v'], { encoding: 'utf8' }).trim().replaceAll('\n', ', '),
);
for (const row of ROWS) console.log(runRow(row(folder)));
