/** One upstream, servers that warm in front of it, counts to go by, and the command. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { temporaryFolder } from '../support/git.ts';
import { Hotpack } from '../support/hotpack.ts';
import { olderDatedRepository } from '../support/repositories.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const DAY_MS = 86_400_000;

export interface WarmHouse {
  readonly upstream: Upstream;
  /** Not started. It keeps ten warm, and knows besides `up` an upstream `dead` that nobody listens for. */
  readonly server: (env?: Readonly<Record<string, string>>, folder?: string) => Hotpack;
  readonly close: () => Promise<void>;
}

/** `names`: each one small repository below `up`. */
export async function openWarmHouse(names: readonly string[]): Promise<WarmHouse> {
  const upstream = await startUpstream();
  for (const name of names) upstream.add(`up/${name}`, olderDatedRepository());
  const servers: Hotpack[] = [];
  return {
    upstream,
    server(env = {}, folder) {
      const hotpack = new Hotpack({
        // Nobody listens on port 1.
        upstreams: { up: upstream.base('up'), dead: 'http://127.0.0.1:1/dead' },
        env: { HOTPACK_PREWARM_MOST_CLONED_REPOS: '10', ...env },
        ...(folder === undefined ? {} : { folder }),
      });
      servers.push(hotpack);
      return hotpack;
    },
    async close() {
      upstream.clearRules();
      try {
        for (const one of servers) await one.stop();
      } finally {
        await upstream.stop();
      }
    },
  };
}

export interface Count {
  readonly repo: string;
  readonly daysAgo: number;
  readonly clones: number;
}

/** By the command, into what its environment names. `program`: what runs it; default: Node. */
export async function importCounts(
  env: Readonly<Record<string, string>>,
  counts: readonly Count[],
  program?: readonly string[],
): Promise<void> {
  const dayOf = (daysAgo: number): string => new Date(Date.now() - daysAgo * DAY_MS).toISOString().slice(0, 10);
  const lines = counts.map(({ repo, daysAgo, clones }) => JSON.stringify({ repo, day: dayOf(daysAgo), clones }));
  const result = await runCommand(['counts', 'import', '-'], env, { input: lines.join('\n'), program });
  expect(result.code, result.text).toBe(0);
}

export function runCommand(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  options: { readonly input?: string; readonly program?: readonly string[] | undefined } = {},
): Promise<{ readonly code: number; readonly text: string }> {
  return new Promise((resolve) => {
    const { input = '', program = [join(ROOT, 'node_modules/node/bin/node')] } = options;
    const [file, ...flags] = program as [string, ...string[]];
    const cwd = temporaryFolder('cli');
    const where = { cwd, env: { PATH: '', HOME: cwd, ...env } };
    const child = execFile(file, [...flags, join(ROOT, 'dist/cli.js'), ...args], where, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : error === null ? 0 : -1, text: stdout + stderr });
    });
    child.stdin?.end(`${input}\n`);
  });
}

export interface Pass {
  readonly running: boolean;
  readonly outcome: string | null;
  /** Those that have ended. */
  readonly repos: readonly {
    readonly repo: string;
    readonly path: string;
    readonly status: string;
    readonly ms: number;
    readonly error?: string;
  }[];
}

export async function askApi<T>(hotpack: Hotpack, path: string): Promise<T> {
  const answer = await fetch(`${hotpack.url}/api/v1/${path}`);
  expect(answer.status).toBe(200);
  return (await answer.json()) as T;
}

/** What became of the pass when as many have ended. */
export async function endOfPass(hotpack: Hotpack, passes = 1, timeoutMs = 30_000): Promise<Pass> {
  for (const deadline = Date.now() + timeoutMs; Date.now() < deadline;) {
    if (hotpack.log.filter((line) => line.event === 'prewarm.end').length >= passes) {
      return askApi<Pass>(hotpack, 'prewarm');
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`no pass ended\n${hotpack.stderr.slice(-4000)}`);
}

/** By repository, its path and status. */
export function statuses(pass: Pass): Record<string, string> {
  return Object.fromEntries(pass.repos.map((one) => [one.repo, `${one.path} ${one.status}`]));
}
