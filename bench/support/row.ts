/** What a row of the bench is, and how rows are run: fresh processes, contestants in turn, as many rounds as asked for. */

export interface Sample {
  /** Wall time of what was done once. */
  readonly ms: number;
  /** Processor time of the side under test, all its threads and children, for what was done once. */
  readonly cpuMs?: number | undefined;
  /** Until the first byte of the answer's body. */
  readonly firstByteMs?: number | undefined;
  /** Where many ask at once: the time within which 95 of 100 had their answer. */
  readonly p95Ms?: number | undefined;
  /** Peak resident memory of the side under test. */
  readonly peakBytes?: number | undefined;
  /** From the end of what `ms` measured until the mirror was ready. */
  readonly fillMs?: number | undefined;
  /** Bytes that the client read. */
  readonly bytes?: number | undefined;
  readonly objects?: number | undefined;
  /** The most packs that a mirror had at any moment. */
  readonly packs?: number | undefined;
}

export interface Contestant {
  readonly name: string;
  /** One sample for each part of the row, in fresh processes. */
  run(): Promise<readonly Sample[]>;
}

export type Measure = 'ms' | 'cpuMs' | 'firstByteMs' | 'p95Ms' | 'peakBytes' | 'bytes' | 'packs';

/** Medians of ours held against another's, or against a number. */
export interface Goal {
  /** Index in `parts`. */
  readonly part: number;
  readonly what: Measure;
  /** Highest ratio, or highest value where it is held against nobody. */
  readonly atMost: number;
  /** Index in `contestants`. */
  readonly against?: number;
  /** What of the other one `what` is held against; default: the same. */
  readonly to?: { readonly part?: number; readonly what?: Measure };
}

export interface Row {
  /** What is measured one after the other in one run of a contestant. */
  readonly parts: readonly string[];
  /** Ours first. */
  readonly contestants: readonly Contestant[];
  readonly goals: readonly Goal[];
}

/** By contestant, by round, by part. */
export type Samples = readonly (readonly (readonly Sample[])[])[];

export async function runRow(row: Row, rounds: number): Promise<Samples> {
  const samples = row.contestants.map((): (readonly Sample[])[] => []);
  for (let round = 0; round < rounds; round++) {
    // Who comes first changes, so that nobody always finds the machine as another one left it.
    const turns = row.contestants.map((_, turn) => (turn + round) % row.contestants.length);
    for (const turn of turns) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other is what makes it fair
      samples[turn]?.push(await (row.contestants[turn] as Contestant).run());
    }
  }
  return samples;
}
