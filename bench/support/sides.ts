/** The three sides that answer: hotpack, git behind a small server, and the limit; each measured while a client asks. */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Job, Question, Report, Turn } from '../children/reading-client.ts';
import { childrenCpuMs, childrenEnded, ownCpuMs, peakBytes, usedMs } from './process-usage.ts';
import type { Sample } from './row.ts';
import { startHotpackServer, startLimitServer } from './servers.ts';
import type { RunningServer } from './servers.ts';
import type { FilledStage, Stage } from './stage.ts';
import type { Workplace } from './workplace.ts';

const CLIENT = join(import.meta.dirname, '../children/reading-client.ts');

/** Asks the same so many times; the sample is of one turn. */
export type Ask = (questions: readonly Question[], options?: Partial<Omit<Job, 'questions'>>) => Promise<Sample>;

/** A hotpack that has just started on the stage's mirror, with no answer stored. Stopped when `use` has ended. */
export async function withHotpack<T>(
  stage: FilledStage,
  use: (ask: Ask, server: RunningServer) => Promise<T>,
  env: Readonly<Record<string, string>> = {},
): Promise<T> {
  const { place, upstream, filled } = stage;
  rmSync(join(filled, 'answers'), { recursive: true, force: true });
  const server = await startHotpackServer(place, { base: upstream.base, storage: filled, env });
  try {
    return await use(askServer(place, server), server);
  } finally {
    await place.stop(server.child);
  }
}

/** A hotpack that runs already. */
export function askServer(place: Workplace, server: RunningServer): Ask {
  return measured(place, server, usageOf(server));
}

/** git's processes are new ones for each question; the server in front of them is not counted. */
export function askGit({ place, upstream }: Stage): Ask {
  return measured(place, upstream, {
    cpuMs: () => childrenCpuMs(upstream.pid),
    settle: () => childrenEnded(upstream.pid),
  });
}

/** The same bytes that hotpack answered when `recordAnswers` ran, from a server that has just started. */
export async function withLimit<T>(stage: Stage, recorded: string, use: (ask: Ask) => Promise<T>): Promise<T> {
  const { place } = stage;
  const server = await startLimitServer(place, recorded);
  try {
    return await use(askServer(place, server));
  } finally {
    await place.stop(server.child);
  }
}

/**
 * What hotpack answers, in files of a folder, by question. Where there is a pack, git takes both sides' once: whole, sound, complete
 * (a thin one with what the repository has); their sizes and objects are printed.
 */
export async function recordAnswers(
  stage: FilledStage,
  questions: readonly Question[],
  isThin: boolean,
): Promise<string> {
  const { place } = stage;
  const record = place.path('recorded');
  mkdirSync(record);
  const ours = await withHotpack(stage, (ask) => checked(stage, ask, { questions, record, isThin }));
  const gits = await checked(stage, askGit(stage), { questions, isThin });
  console.log(`  checked: hotpack ${ours}; git ${gits}`);
  return record;
}

async function checked(
  { place, repository }: Stage,
  ask: Ask,
  options: { readonly questions: readonly Question[]; readonly record?: string; readonly isThin: boolean },
): Promise<string> {
  const { questions, record, isThin } = options;
  const keep = place.path('pack');
  const { bytes, objects } = await ask(questions, { keep, ...(record === undefined ? {} : { record }) });
  if (objects === undefined) return `${bytes} bytes`;
  if (isThin) await place.run('git', ['-C', repository, 'index-pack', '--fix-thin', '--stdin'], { stdin: keep });
  else await place.run('git', ['index-pack', '-o', `${keep}.idx`, keep]);
  for (const file of [keep, `${keep}.idx`, `${keep}.rev`]) place.remove(file);
  return `${bytes} bytes with ${objects} objects`;
}

interface Usage {
  readonly cpuMs: () => number | undefined;
  readonly peakBytes?: () => number | undefined;
  /** Resolves when what was asked for is over, so that all of it is counted. */
  readonly settle?: () => Promise<void>;
}

function usageOf({ pid }: RunningServer): Usage {
  return { cpuMs: () => ownCpuMs(pid), peakBytes: () => peakBytes(pid) };
}

function measured(place: Workplace, server: RunningServer, usage: Usage): Ask {
  return async (questions, options = {}) => {
    const job: Job = { url: server.url, times: 1, atOnce: 1, ...options, questions };
    await usage.settle?.();
    const before = usage.cpuMs();
    const { stdout } = await place.run(process.execPath, [CLIENT, JSON.stringify(job)]);
    await usage.settle?.();
    const cpuMs = usedMs(before, usage.cpuMs(), job.times);
    const report = JSON.parse(stdout) as Report;
    if (report.failures.length > 0) throw new Error(`${report.failures.length} failed: ${report.failures[0]}`);
    return {
      ...waits(report.each),
      // Many at once share the machine: what one of them costs is what it had to wait.
      ...(job.atOnce === 1 ? { ms: report.ms / job.times, p95Ms: undefined } : {}),
      cpuMs,
      peakBytes: usage.peakBytes?.(),
      bytes: report.bytes,
      objects: report.objects,
    };
  };
}

/** Medians of what clients had to wait, and the time within which 95 of 100 were served. */
function waits(turns: readonly Turn[]): Sample {
  const ms = turns.map((turn) => turn.ms).toSorted((a, b) => a - b);
  return {
    ms: middle(ms),
    firstByteMs: middle(turns.map((turn) => turn.firstByteMs)),
    p95Ms: ms[Math.ceil(ms.length * 0.95) - 1],
  };
}

function middle(list: readonly number[]): number {
  return list.toSorted((a, b) => a - b)[list.length >> 1] as number;
}
