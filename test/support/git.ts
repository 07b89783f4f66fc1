/**
 * Real git as the tests' client: no configuration but what a test gives, no prompts, a fixed identity and clock,
 * so that the same commands make the same commits.
 */
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface GitResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface GitOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string | Uint8Array;
  /** `protocol.version` of the client. */
  readonly protocol?: 0 | 1 | 2;
  /** Further `-c name=value`. */
  readonly config?: readonly string[];
  /** Ends git by SIGKILL; the result's code is then -1. Default 120 s. */
  readonly timeoutMs?: number;
}

const folders: string[] = [];

/** A new folder under the system's temporary one; all are removed when the test process ends. */
export function temporaryFolder(purpose: string): string {
  const path = mkdtempSync(join(tmpdir(), `hotpack-${purpose}-`));
  if (folders.push(path) === 1) {
    process.once('exit', () => {
      for (const one of folders) rmSync(one, { recursive: true, force: true });
    });
  }
  return path;
}

let home: string | undefined;

/** The environment of every git that tests start. */
export function gitEnvironment(): Record<string, string> {
  if (home === undefined) {
    home = temporaryFolder('home');
    mkdirSync(join(home, 'xdg'));
    writeFileSync(
      join(home, '.gitconfig'),
      [
        '[init]\n\tdefaultBranch = main',
        '[advice]\n\tdetachedHead = false',
        '[gc]\n\tauto = 0',
        '[maintenance]\n\tauto = false',
        '[core]\n\tfsync = none',
        '[protocol "file"]\n\tallow = always',
        '[safe]\n\tdirectory = *',
        '[uploadpack]\n\tallowFilter = true',
        '',
      ].join('\n'),
    );
  }
  return {
    PATH: process.env['PATH'] ?? '/usr/bin:/bin',
    HOME: home,
    XDG_CONFIG_HOME: join(home, 'xdg'),
    LC_ALL: 'C',
    TZ: 'UTC',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    GIT_ASKPASS: 'true',
    SSH_ASKPASS: 'true',
    GIT_AUTHOR_NAME: 'Ada Author',
    GIT_AUTHOR_EMAIL: 'ada@example.com',
    GIT_AUTHOR_DATE: '1700000000 +0000',
    GIT_COMMITTER_NAME: 'Cleo Committer',
    GIT_COMMITTER_EMAIL: 'cleo@example.com',
    GIT_COMMITTER_DATE: '1700000000 +0000',
  };
}

/** Runs git and resolves with how it ended, whatever that was. */
export function tryGit(args: readonly string[], options: GitOptions = {}): Promise<GitResult> {
  const config = [...(options.config ?? [])];
  if (options.protocol !== undefined) config.push(`protocol.version=${options.protocol}`);
  return new Promise((resolve, reject) => {
    const child = spawn('git', [...config.flatMap((one) => ['-c', one]), ...args], {
      cwd: options.cwd,
      env: { ...gitEnvironment(), ...options.env },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    const timer = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? 120_000);
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
    child.on('error', reject);
    child.stdin.on('error', () => undefined); // git may end without reading its input
    child.stdin.end(options.input);
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({
        code: code ?? -1,
        stdout: Buffer.concat(out).toString('utf8'),
        stderr: Buffer.concat(err).toString('utf8'),
      });
    });
  });
}

/** Runs git and returns its standard output; throws with both streams where it fails. */
export async function git(args: readonly string[], options: GitOptions = {}): Promise<string> {
  const result = await tryGit(args, options);
  if (result.code !== 0) {
    throw new Error(`git ${args.join(' ')} ended with ${result.code}\n${result.stderr}${result.stdout}`);
  }
  return result.stdout;
}

/** The same at once, for fixtures. */
export function gitSync(args: readonly string[], options: Pick<GitOptions, 'cwd' | 'env' | 'input'> = {}): string {
  return execFileSync('git', args, {
    cwd: options.cwd,
    env: { ...gitEnvironment(), ...options.env },
    input: options.input ?? '',
    stdio: ['pipe', 'pipe', 'pipe'],
    maxBuffer: 1 << 28,
  }).toString('utf8');
}
