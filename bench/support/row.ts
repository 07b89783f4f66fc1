/** What a row of the bench is, how rows are run (fresh processes, alternating, medians with raw values) and told. */

export interface Sample {
  readonly ms: number;
  /** Processor time of the side under test, all its threads and children. */
  readonly cpuMs?: number | undefined;
  /** Peak resident memory of the side under test. */
  readonly peakBytes?: number | undefined;
  /** From the end of what `ms` measured until the mirror was ready. */
  readonly fillMs?: number | undefined;
  /** Bytes that the client read. */
  readonly bytes?: number | undefined;
  readonly objects?: number | undefined;
}

export interface Contestant {
  readonly name: string;
  /** One sample for each part of the row, in fresh processes. */
  run(): Promise<readonly Sample[]>;
}

export interface Row {
  /** What is measured one after the other in one run of a contestant. */
  readonly parts: readonly string[];
  /** Run alternately. The first is ours, ratios are to the second. */
  readonly contestants: readonly [Contestant, Contestant];
  readonly goals?: Goals;
}

/** Held against the first part; unset where a row is only reported. */
export interface Goals {
  /** Median wall time of ours over the other's. */
  readonly maxRatio?: number;
  /** Highest peak of ours. */
  readonly maxPeakBytes?: number;
}

const MIB = 2 ** 20;

export async function runRow(row: Row, rounds: number): Promise<string> {
  const samples = row.contestants.map((): (readonly Sample[])[] => []);
  for (let round = 0; round < rounds; round++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other is what makes it fair
    for (const [n, contestant] of row.contestants.entries()) samples[n]?.push(await contestant.run());
  }
  return row.parts.map((part, number) => tellPart(row, part, number, samples)).join('\n');
}

function tellPart(row: Row, part: string, number: number, samples: readonly (readonly Sample[])[][]): string {
  const lists = samples.map((rounds) => rounds.flatMap((run) => run.slice(number, number + 1)));
  const [ours, other] = [lists[0] ?? [], lists[1] ?? []];
  const wall = ratio(ours, other, (one) => one.ms);
  const cpu = ratio(ours, other, (one) => one.cpuMs);
  const title = `${part}: wall ${told(wall)}${cpu === undefined ? '' : `, CPU ${told(cpu)}`}`;
  const lines = row.contestants.map((contestant, n) => `  ${contestant.name}: ${tellSamples(lists[n] ?? [])}`);
  const verdicts = number === 0 ? tellGoals(row.goals ?? {}, wall, ours) : [];
  return [title, ...lines, ...verdicts].join('\n');
}

function tellSamples(list: readonly Sample[]): string {
  const told = [`wall ${times(list, (one) => one.ms)}`];
  if (list.some((one) => one.cpuMs !== undefined)) told.push(`CPU ${times(list, (one) => one.cpuMs)}`);
  if (list.some((one) => one.fillMs !== undefined)) told.push(`fill after it ${times(list, (one) => one.fillMs)}`);
  const peaks = values(list, (one) => one.peakBytes);
  if (peaks.length > 0) told.push(`peak ${Math.round(Math.max(...peaks) / MIB)} MiB`);
  const last = list.at(-1);
  if (last?.bytes !== undefined) told.push(`${last.bytes} bytes`);
  if (last?.objects !== undefined) told.push(`${last.objects} objects`);
  return told.join(', ');
}

function tellGoals(goals: Goals, wall: number | undefined, ours: readonly Sample[]): string[] {
  const told: string[] = [];
  const verdict = (held: boolean): string => (held ? 'goal met' : 'GOAL MISSED');
  if (goals.maxRatio !== undefined && wall !== undefined) {
    told.push(`  ${verdict(wall <= goals.maxRatio)}: at most ${goals.maxRatio} times, is ${wall.toFixed(2)}`);
  }
  const peaks = values(ours, (one) => one.peakBytes);
  if (goals.maxPeakBytes !== undefined && peaks.length > 0) {
    const peak = Math.max(...peaks);
    const is = `under ${Math.round(goals.maxPeakBytes / MIB)} MiB, is ${Math.round(peak / MIB)}`;
    told.push(`  ${verdict(peak < goals.maxPeakBytes)}: peak ${is}`);
  }
  return told;
}

function times(list: readonly Sample[], of: (sample: Sample) => number | undefined): string {
  const all = values(list, of);
  return `${Math.round(median(all))} ms (${all.map((ms) => Math.round(ms)).join(' ')})`;
}

function ratio(
  ours: readonly Sample[],
  other: readonly Sample[],
  of: (sample: Sample) => number | undefined,
): number | undefined {
  const below = median(values(other, of));
  return values(ours, of).length === 0 || !(below > 0) ? undefined : median(values(ours, of)) / below;
}

function told(value: number | undefined): string {
  return value === undefined ? 'unknown' : `${value.toFixed(2)} times`;
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
