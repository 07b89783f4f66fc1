/** What processes have used, from Linux's `/proc` (proc(5)); elsewhere nothing is known and nothing is claimed. */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** A clock tick of `/proc/PID/stat`, fixed at 100 a second for what user space sees. */
const TICK_MS = 10;

/**
 * Processor time of the process itself, all threads: those that live to the nanosecond, those that have ended by ticks, where
 * that is more.
 */
export function ownCpuMs(pid: number): number | undefined {
  const byTicks = ticks(pid, 13);
  if (byTicks === undefined) return undefined;
  const living = threads(pid).map((thread) => read(`/proc/${pid}/task/${thread}/schedstat`));
  const ns = living.reduce((sum, line) => sum + Number((line ?? '0').split(' ', 1)[0]), 0);
  return Math.max(byTicks, ns / 1e6);
}

/** Processor time of its children that have ended, and of theirs. */
export function childrenCpuMs(pid: number): number | undefined {
  return ticks(pid, 15);
}

/** Waits until no child of the process runs any more, so that `childrenCpuMs` is complete. */
export async function childrenEnded(pid: number): Promise<void> {
  for (;;) {
    const children = read(`/proc/${pid}/task/${pid}/children`);
    if (children === undefined || children.trim() === '') return;
    // oxlint-disable-next-line no-await-in-loop -- polling
    await sleep(5);
  }
}

/** Highest resident memory so far. */
export function peakBytes(pid: number): number | undefined {
  const kib = /^VmHWM:\s+(\d+) kB/m.exec(read(`/proc/${pid}/status`) ?? '')?.[1];
  return kib === undefined ? undefined : Number(kib) * 1024;
}

/** `after - before` where both are known, shared out among `times`. */
export function usedMs(before: number | undefined, after: number | undefined, times = 1): number | undefined {
  return before === undefined || after === undefined ? undefined : (after - before) / times;
}

/** The sum of two neighbouring fields (user and system), counted from 0. The name in parentheses may hold spaces. */
function ticks(pid: number, field: number): number | undefined {
  const stat = read(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[field - 2]) + Number(fields[field - 1])) * TICK_MS;
}

function threads(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return undefined;
  }
}
