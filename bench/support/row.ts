/** What a row of the bench is, and how rows are run: fresh processes, alternating, medians of five with raw values. */
import { execFileSync } from 'node:child_process';

export interface Sample {
  readonly ms: number;
  /** Peak resident memory, where it is known. */
  readonly peakBytes?: number;
}

export interface Row {
  readonly name: string;
  /** Run alternately, ours first. Each call is one sample in a fresh process. */
  readonly contestants: readonly { readonly name: string; run(): Sample }[];
}

/** Prepares what a row needs from the repository at `folder` (bare, one pack). */
export type RowFactory = (folder: string) => Row;

const ROUNDS = 5;

export function runRow(row: Row): string {
  const samples = row.contestants.map((): Sample[] => []);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [n, contestant] of row.contestants.entries()) samples[n]?.push(contestant.run());
  }
  const medians = samples.map((list) => median(list.map((one) => one.ms)));
  const lines = row.contestants.map((contestant, n) => {
    const list = samples[n] ?? [];
    const raw = list.map((one) => Math.round(one.ms)).join(' ');
    const peaks = list.flatMap((one) => (one.peakBytes === undefined ? [] : [one.peakBytes]));
    const peak = peaks.length === 0 ? '' : `, peak ${Math.round(Math.max(...peaks) / 2 ** 20)} MiB`;
    return `  ${contestant.name}: ${Math.round(medians[n] ?? 0)} ms (${raw})${peak}`;
  });
  const ratio = ((medians[0] ?? 0) / (medians[1] ?? 1)).toFixed(2);
  return [`${row.name}: ratio ${ratio}`, ...lines].join('\n');
}

/** Runs a process to its end and gives its wall time and, with `timed`, the peak that it reports as its last line of JSON. */
export function sample(command: string, args: readonly string[], timed: 'reports-peak' | 'silent'): Sample {
  const start = performance.now();
  const out = execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  const ms = performance.now() - start;
  if (timed === 'silent') return { ms };
  const report = JSON.parse(out.trim().split('\n').at(-1) ?? '{}') as { peakBytes?: number };
  return report.peakBytes === undefined ? { ms } : { ms, peakBytes: report.peakBytes };
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? 0;
}
