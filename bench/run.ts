/**
 * `npm run bench -- [--repo PATH] [--rounds N] [--row NAME]...`: every row on one repository or bundle, each contestant in
 * fresh processes, in turn, medians of five with the raw values. Without `--repo` a seeded repository is made once and
 * kept in the system's temporary folder. Ends cleanly at SIGINT and SIGTERM.
 */
import { execFileSync } from 'node:child_process';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import buildOnce from '../test/support/build-once.ts';
import { coldCloneRow } from './rows/cold-clone.ts';
import { indexPackRow } from './rows/index-pack.ts';
import { warmReadsRow } from './rows/warm-reads.ts';
import type { Row } from './support/row.ts';
import { runRow } from './support/row.ts';
import { seededRepository } from './support/seeded-repository.ts';
import type { Stage } from './support/stage.ts';
import { createStage } from './support/stage.ts';

const ROWS: Readonly<Record<string, (stage: Stage) => Promise<Row>>> = {
  indexing: indexPackRow,
  'cold-clone': coldCloneRow,
  'full-clone': warmReadsRow('full'),
  'depth-1': warmReadsRow('depth-1'),
};

const { values } = parseArgs({
  options: {
    repo: { type: 'string' },
    rounds: { type: 'string', default: '5' },
    row: { type: 'string', multiple: true, default: Object.keys(ROWS) },
  },
});
const rounds = Number(values.rounds);
if (!Number.isInteger(rounds) || rounds < 1) throw new Error(`--rounds takes a count, not ${values.rounds}`);
const unknown = values.row.find((name) => ROWS[name] === undefined);
if (unknown !== undefined) throw new Error(`no row ${unknown}; there are ${Object.keys(ROWS).join(', ')}`);

const git = execFileSync('git', ['--version'], { encoding: 'utf8' }).trim();
console.log(
  `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, ${Math.round(totalmem() / 2 ** 30)} GiB, ${process.platform} ${release()}, load ${loadavg()[0]?.toFixed(1)}; node ${process.version}; ${git}`,
);
buildOnce();
const stage = await createStage(values.repo === undefined ? await seededRepository() : resolve(values.repo));
const counts = execFileSync('git', ['-C', stage.repository, 'count-objects', '-v'], { encoding: 'utf8' });
console.log(counts.trim().replaceAll('\n', ', '));
for (const name of values.row) {
  const row = ROWS[name] as (of: Stage) => Promise<Row>;
  // oxlint-disable-next-line no-await-in-loop -- rows must not disturb each other
  console.log(await runRow(await row(stage), rounds));
}
process.exit(0);
