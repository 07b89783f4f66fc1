/**
 * Where the bench works: one temporary folder and the processes it has started. However it ends (its end, an error, SIGINT,
 * SIGTERM), all of them are killed with what they started themselves, and the folder is gone.
 */
import type { ChildProcessByStdio } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { childrenCpuMs } from './process-usage.ts';

/** Puts a process on given processors; Linux's own. */
export const TASKSET = '/usr/bin/taskset';

export type Started = ChildProcessByStdio<null, Readable, Readable>;

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Where it may run, as taskset takes it. Absent: anywhere. */
  readonly processors?: string | undefined;
  /** File that it reads as its standard input. */
  readonly stdin?: string;
}

export interface Ran {
  readonly ms: number;
  /** Of the process and all that it waited for; exact where no other child of ours ends meanwhile. */
  readonly cpuMs: number | undefined;
  readonly stdout: string;
}

export class Workplace {
  readonly folder: string = mkdtempSync(join(tmpdir(), 'hotpack-bench-'));
  readonly #running = new Set<Started>();
  #numbers = 0;

  constructor() {
    process.once('exit', () => this.#clear());
    for (const [signal, code] of [
      ['SIGINT', 130],
      ['SIGTERM', 143],
      ['SIGHUP', 129],
    ] as const) {
      process.once(signal, () => process.exit(code));
    }
  }

  /** A path that nothing lies at yet. */
  path(purpose: string): string {
    return join(this.folder, `${purpose}-${++this.#numbers}`);
  }

  remove(path: string): void {
    rmSync(path, { recursive: true, force: true });
  }

  /** Starts a process as the head of a group of its own, so that its children can be ended with it. */
  start(command: string, args: readonly string[], options: RunOptions = {}): Started {
    const stdin = options.stdin === undefined ? undefined : openSync(options.stdin, 'r');
    const { processors } = options;
    const pinned = processors === undefined ? [] : [TASKSET, '--cpu-list', processors];
    const [program = command, ...rest] = [...pinned, command, ...args];
    const child = spawn(program, rest, {
      detached: true,
      env: options.env ?? process.env,
      stdio: [stdin ?? 'ignore', 'pipe', 'pipe'],
    }) as Started;
    if (stdin !== undefined) closeSync(stdin);
    this.#running.add(child);
    child.once('exit', () => this.#running.delete(child));
    return child;
  }

  /** Runs a process to its end; throws with its words where it fails. */
  async run(command: string, args: readonly string[], options: RunOptions = {}): Promise<Ran> {
    const startedAtMs = performance.now();
    const cpuBefore = childrenCpuMs(process.pid);
    const child = this.start(command, args, options);
    const out = text(child.stdout);
    const err = text(child.stderr);
    const [code] = (await once(child, 'exit')) as [number | null];
    const ms = performance.now() - startedAtMs;
    if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}\n${await err}`);
    const cpuAfter = childrenCpuMs(process.pid);
    const cpuMs = cpuBefore === undefined || cpuAfter === undefined ? undefined : cpuAfter - cpuBefore;
    return { ms, cpuMs, stdout: await out };
  }

  async stop(child: Started): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGTERM');
    const timer = setTimeout(() => killGroup(child), 10_000);
    await exited;
    clearTimeout(timer);
  }

  #clear(): void {
    for (const child of this.#running) killGroup(child);
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  }
}

function killGroup(child: Started): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}
