/** Tells what a row measured: medians with the raw values, ratios to each contestant, and whether each goal is met. */
import type { Goal, Measure, Row, Sample, Samples } from './row.ts';

const MIB = 2 ** 20;
const NAMES: Readonly<Record<Measure, string>> = {
  ms: 'wall',
  cpuMs: 'CPU',
  firstByteMs: 'first byte',
  p95Ms: 'p95',
  peakBytes: 'peak',
  bytes: 'bytes',
  packs: 'packs',
};
const RATIOS: readonly Measure[] = ['ms', 'cpuMs', 'firstByteMs'];

export function tellRow(name: string, row: Row, samples: Samples): string {
  const parts = row.parts.map((part, number) => {
    const title = `${name}, ${part}${ratios(row, samples, number)}`;
    const lines = row.contestants.map(({ name: who }, n) => `  ${who}: ${tellSamples(listOf(samples, n, number))}`);
    return [title, ...lines].join('\n');
  });
  return [...parts, ...row.goals.map((goal) => tellGoal(row, samples, goal))].join('\n');
}

function ratios(row: Row, samples: Samples, part: number): string {
  const told = row.contestants.slice(1).flatMap(({ name }, n) => {
    const each = RATIOS.flatMap((what) => {
      const value = ratio(samples, { part, what, atMost: 0, against: n + 1 });
      return value === undefined ? [] : [`${NAMES[what]} ${value.toFixed(2)}`];
    });
    return each.length === 0 ? [] : [`${each.join(', ')} times ${name}`];
  });
  return told.length === 0 ? '' : `: ${told.join('; ')}`;
}

function tellSamples(list: readonly Sample[]): string {
  if (list.length === 0) return 'not run';
  const told = [`wall ${times(list, (one) => one.ms)}`];
  if (has(list, 'cpuMs')) told.push(`CPU ${times(list, (one) => one.cpuMs)}`);
  if (has(list, 'firstByteMs')) told.push(`first byte ${times(list, (one) => one.firstByteMs)}`);
  if (has(list, 'p95Ms')) told.push(`p95 ${times(list, (one) => one.p95Ms)}`);
  if (list.some((one) => one.fillMs !== undefined)) told.push(`fill after it ${times(list, (one) => one.fillMs)}`);
  const peaks = values(list, (one) => one.peakBytes);
  if (peaks.length > 0) told.push(`peak ${Math.round(Math.max(...peaks) / MIB)} MiB`);
  const last = list.at(-1);
  if (last?.bytes !== undefined) told.push(`${last.bytes} bytes`);
  if (last?.packs !== undefined) told.push(`${last.packs} packs at most`);
  if (last?.objects !== undefined) told.push(`${last.objects} objects`);
  return told.join(', ');
}

function tellGoal(row: Row, samples: Samples, goal: Goal): string {
  const { part, what, atMost, against } = goal;
  const of = `${row.parts[part]}, ${NAMES[what]}`;
  if (against === undefined) {
    const value = median(values(listOf(samples, 0, part), (one) => one[what]));
    const shown = (bytes: number): string => (what === 'peakBytes' ? `${Math.round(bytes / MIB)} MiB` : `${bytes}`);
    return `  goal ${of} at most ${shown(atMost)}: ${verdict(value, atMost, shown(value))}`;
  }
  const value = ratio(samples, goal);
  const whose = against === 0 ? `its own ${NAMES[goal.to?.what ?? what]}` : row.contestants[against]?.name;
  const others = row.contestants.flatMap(({ name }, who) => {
    // Those behind the other one are held against it too: where the bare server misses it, nobody meets it here.
    const theirs = who <= against ? undefined : ratio(samples, goal, who);
    return theirs === undefined ? [] : [`; ${name} itself ${theirs.toFixed(2)}`];
  });
  const shown = `${value?.toFixed(2)}${against === 0 ? '' : others.join('')}`;
  return `  goal ${of} at most ${atMost.toFixed(2)} times ${whose}: ${verdict(value, atMost, shown)}`;
}

function verdict(value: number | undefined, atMost: number, shown: string | undefined): string {
  if (value === undefined || Number.isNaN(value)) return 'not measured';
  return `${value <= atMost ? 'met' : 'MISSED'} (${shown})`;
}

/** `who`: whose figure is held against the other one's; default: ours. */
function ratio(samples: Samples, goal: Goal, who = 0): number | undefined {
  const { part, what, against = 0, to = {} } = goal;
  const ours = median(values(listOf(samples, who, part), (one) => one[what]));
  const other = median(values(listOf(samples, against, to.part ?? part), (one) => one[to.what ?? what]));
  return ours >= 0 && other > 0 ? ours / other : undefined;
}

function listOf(samples: Samples, contestant: number, part: number): readonly Sample[] {
  return (samples[contestant] ?? []).flatMap((run) => run.slice(part, part + 1));
}

function has(list: readonly Sample[], what: Measure): boolean {
  return list.some((one) => one[what] !== undefined);
}

function times(list: readonly Sample[], of: (sample: Sample) => number | undefined): string {
  const all = values(list, of);
  return `${shortMs(median(all))} ms (${all.map(shortMs).join(' ')})`;
}

function shortMs(ms: number): string {
  return ms < 10 ? ms.toFixed(2) : ms < 100 ? ms.toFixed(1) : String(Math.round(ms));
}

function values(list: readonly Sample[], of: (sample: Sample) => number | undefined): number[] {
  return list.flatMap((one) => of(one) ?? []);
}

function median(list: readonly number[]): number {
  const sorted = list.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length % 2 === 1) return sorted[middle] as number;
  return ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2;
}
