/**
 * `npm run bench -- [--repo PATH | --seed NAME]... [--rounds N] [--row NAME]...`: every row on each repository or bundle, each
 * contestant in fresh processes, in turn, medians of five with the raw values, and whether each goal is met. Without
 * `--repo` and `--seed` two seeded repositories are made once and kept in the system's temporary folder. Ends
 * cleanly at SIGINT and SIGTERM.
 */
import { execFileSync } from 'node:child_process';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import buildOnce from '../test/support/build-once.ts';
import { coldCloneRow } from './rows/cold-clone.ts';
import { countingRow } from './rows/counting.ts';
import { crowdRow } from './rows/crowd.ts';
import { growthRow } from './rows/growth.ts';
import { indexPackRow } from './rows/index-pack.ts';
import { pushesRow } from './rows/pushes.ts';
import { refsRow } from './rows/refs.ts';
import { servedRow } from './rows/served.ts';
import { warmPassRow } from './rows/warm-pass.ts';
import { tellRow } from './support/report.ts';
import type { Row } from './support/row.ts';
import { runRow } from './support/row.ts';
import { SEEDS, seededRepository, type SeedName } from './support/seeded-repository.ts';
import { createStage, type Stage } from './support/stage.ts';
import { usedStage } from './support/used-stage.ts';
import { Workplace } from './support/workplace.ts';

const ROWS: Readonly<Record<string, (stage: Stage) => Promise<Row>>> = {
  indexing: indexPackRow,
  'cold-clone': coldCloneRow,
  'depth-1': servedRow('depth-1'),
  full: servedRow('full'),
  blobless: servedRow('blobless'),
  'twenty-commits': servedRow('twenty-commits'),
  refs: refsRow,
  crowd: crowdRow,
  'used-depth-1': servedRow('depth-1', usedStage),
  'used-full': servedRow('full', usedStage),
  'used-blobless': servedRow('blobless', usedStage),
  'used-twenty-commits': servedRow('twenty-commits', usedStage),
  growth: growthRow,
  counting: countingRow,
  'warm-pass': warmPassRow,
  pushes: pushesRow,
};

const { values } = parseArgs({
  options: {
    repo: { type: 'string', multiple: true, default: [] },
    seed: { type: 'string', multiple: true, default: [] },
    rounds: { type: 'string', default: '5' },
    row: { type: 'string', multiple: true, default: Object.keys(ROWS) },
  },
});
const rounds = Number(values.rounds);
if (!Number.isInteger(rounds) || rounds < 1) throw new Error(`--rounds takes a count, not ${values.rounds}`);
assertKnown('row', values.row, ROWS);
assertKnown('seed', values.seed, SEEDS);
const seeds = values.repo.length + values.seed.length === 0 ? ['middle', 'large'] : values.seed;

const git = execFileSync('git', ['--version'], { encoding: 'utf8' }).trim();
console.log(
  `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, ${Math.round(totalmem() / 2 ** 30)} GiB, ${process.platform} ${release()}, load ${loadavg()[0]?.toFixed(1)}; node ${process.version}; ${git}`,
);
buildOnce();
const place = new Workplace();
for (const path of values.repo) {
  // oxlint-disable-next-line no-await-in-loop -- rows must not disturb each other
  await runRows(resolve(path));
}
for (const seed of seeds) {
  // oxlint-disable-next-line no-await-in-loop
  await runRows(await seededRepository(seed as SeedName));
}
process.exit(0);

async function runRows(source: string): Promise<void> {
  const stage = await createStage(place, source);
  const counts = execFileSync('git', ['-C', stage.repository, 'count-objects', '-v'], { encoding: 'utf8' });
  console.log(`\n${source}: ${counts.trim().replaceAll('\n', ', ')}`);
  for (const name of values.row) {
    const row = ROWS[name] as (of: Stage) => Promise<Row>;
    // oxlint-disable-next-line no-await-in-loop
    const made = await row(stage);
    // oxlint-disable-next-line no-await-in-loop
    console.log(tellRow(name, made, await runRow(made, rounds)));
  }
}

function assertKnown(option: string, names: readonly string[], known: Readonly<Record<string, unknown>>): void {
  const unknown = names.find((name) => !Object.hasOwn(known, name));
  if (unknown !== undefined) throw new Error(`no ${option} ${unknown}; there are ${Object.keys(known).join(', ')}`);
}
