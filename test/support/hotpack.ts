/**
 * The built server as a child process: Node 24 or another runtime, a port of its own, a storage folder of its own, and a PATH that holds
 * no git. What it logs is kept; anything on standard error that is no JSON line, or an uncaught error, fails the test.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { git, temporaryFolder } from './git.ts';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const nodeBinary = join(root, 'node_modules', 'node', 'bin', 'node');
/** The built adapter; another build can be judged by naming it. */
const entry = process.env['HOTPACK_TEST_ENTRY'] ?? join(root, 'dist', 'adapters', 'node.js');

export interface LogLine {
  readonly time: string;
  readonly level: string;
  readonly event: string;
  readonly [field: string]: unknown;
}

export interface HotpackOptions {
  /** Upstream name → base URL. */
  readonly upstreams: Readonly<Record<string, string>>;
  /** Further environment (`HOTPACK_…`); wins over the defaults below. */
  readonly env?: Readonly<Record<string, string>>;
  /** Storage folder; a new one by default. */
  readonly folder?: string;
  /** What to run. Default: the built adapter for Node. */
  readonly command?: readonly string[];
  /** Where no folder holds the mirrors: what `/api` takes, to be asked for their state. */
  readonly adminToken?: string;
}

export interface Listed {
  readonly state: 'absent' | 'filling' | 'ready' | 'failed';
  readonly clones14d: number;
}

/** What each test starts from: refs are asked for at every request. */
const defaults = { HOTPACK_REF_CHECK_INTERVAL: '0', HOTPACK_LOG_LEVEL: 'debug', HOTPACK_SHUTDOWN_TIMEOUT: '5s' };

export class Hotpack {
  readonly folder: string;
  url = '';
  private readonly options: HotpackOptions;
  private child: ChildProcess | undefined;
  private errors = '';
  private output = '';

  constructor(options: HotpackOptions) {
    this.options = options;
    this.folder = options.folder ?? temporaryFolder('store');
  }

  get pid(): number {
    return this.child?.pid ?? 0;
  }

  /** Everything on standard error so far. */
  get stderr(): string {
    return this.errors;
  }

  get stdout(): string {
    return this.output;
  }

  get log(): LogLine[] {
    return this.errors
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .flatMap((line) => {
        try {
          return [JSON.parse(line) as LogLine];
        } catch {
          return [];
        }
      });
  }

  /** The URL of a repository through this server. */
  repository(name: string): string {
    return `${this.url}/git/${name}.git`;
  }

  /** Where the mirror of a repository lies at rest. */
  mirrorFolder(name: string): string {
    return join(this.folder, 'mirrors', `${name}.git`);
  }

  async start(): Promise<this> {
    if (!existsSync(entry)) throw new Error(`${entry} is not there: run "npm run build" first`);
    const emptyPath = join(temporaryFolder('path'), 'bin');
    mkdirSync(emptyPath);
    const upstreams = Object.entries(this.options.upstreams).map(([name, base]) => `${name}=${base}`);
    const [program, ...args] = this.options.command ?? [nodeBinary, entry];
    const child = spawn(program as string, args, {
      // A group of its own: what is killed takes along what it started.
      detached: true,
      cwd: temporaryFolder('cwd'),
      env: {
        PATH: emptyPath,
        PORT: '0',
        HOST: '127.0.0.1',
        HOME: emptyPath,
        HOTPACK_UPSTREAMS: upstreams.join(','),
        HOTPACK_STORAGE: `fs:${this.folder}`,
        ...(this.options.adminToken === undefined ? {} : { HOTPACK_ADMIN_TOKEN: this.options.adminToken }),
        ...defaults,
        ...this.options.env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child = child;
    this.output = '';
    child.stderr.on('data', (chunk: Buffer) => (this.errors += chunk.toString('utf8')));
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`hotpack does not listen after 20 s\n${this.errors}`)), 20_000);
      child.once('exit', (code) => {
        clearTimeout(timer);
        reject(new Error(`hotpack ended with ${code} before it listened\n${this.errors}`));
      });
      child.stdout.on('data', (chunk: Buffer) => {
        this.output += chunk.toString('utf8');
        const found = /hotpack listening on (http:\/\/\S+)/.exec(this.output)?.[1];
        if (found === undefined) return;
        clearTimeout(timer);
        this.url = found;
        resolve();
      });
    });
    return this;
  }

  /** SIGTERM; resolves with the exit code, and throws where standard error shows what must never be there. */
  async stop(): Promise<number> {
    const code = await this.end('SIGTERM');
    this.assertClean();
    return code;
  }

  /** SIGINT; resolves with the exit code, -1 where it had to be killed. */
  interrupt(): Promise<number> {
    return this.end('SIGINT');
  }

  async kill9(): Promise<void> {
    await this.end('SIGKILL');
  }

  /** Starts again on the same storage (and usually another port). */
  async restart(): Promise<this> {
    if (this.child !== undefined) await this.stop();
    return this.start();
  }

  /** Throws where standard error holds anything but JSON lines, or an error nobody caught. */
  assertClean(): void {
    const bad = this.errors
      .split('\n')
      .filter((line) => line !== '' && (!line.startsWith('{') || /uncaught|unhandled/i.test(line)));
    if (bad.length > 0)
      throw new Error(`unexpected lines on hotpack's standard error:\n${bad.slice(0, 20).join('\n')}`);
  }

  private async end(signal: NodeJS.Signals): Promise<number> {
    const child = this.child;
    if (child === undefined) return 0;
    this.child = undefined;
    if (child.exitCode !== null || child.signalCode !== null) return child.exitCode ?? -1;
    const ended = new Promise<number>((resolve) => child.once('close', (code) => resolve(code ?? -1)));
    const killAll = (): void => void process.kill(-(child.pid as number), 'SIGKILL');
    if (signal === 'SIGKILL') killAll();
    else child.kill(signal);
    const timer = setTimeout(killAll, 15_000);
    const code = await ended;
    clearTimeout(timer);
    return code;
  }

  async metrics(): Promise<string> {
    return (await fetch(`${this.url}/metrics`)).text();
  }

  /** Sum of a metric's samples whose labels include all given ones. */
  async metric(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
    let sum = 0;
    for (const line of (await this.metrics()).split('\n')) {
      const found = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line);
      if (found === null || found[1] !== name) continue;
      const has = (label: string, value: string): boolean => (found[2] ?? '').includes(`${label}="${value}"`);
      if (Object.entries(labels).every(([label, value]) => has(label, value))) sum += Number(found[3]);
    }
    return sum;
  }

  /** Waits (by what lies at rest, or until `/api` says that it is there) until the mirror holds all `oids` as tips. */
  async mirrorHolds(name: string, oids: readonly string[], timeoutMs = 45_000): Promise<void> {
    if (this.options.adminToken !== undefined) return this.isReady(name, timeoutMs);
    const deadline = Date.now() + timeoutMs;
    const packedRefs = join(this.mirrorFolder(name), 'packed-refs');
    for (;;) {
      const text = existsSync(packedRefs) ? readFileSync(packedRefs, 'utf8') : '';
      if (oids.every((oid) => text.includes(oid))) return;
      if (Date.now() > deadline) {
        throw new Error(
          `the mirror of ${name} does not hold ${oids.join(' ')} after ${timeoutMs} ms\n${text}\n${this.errors.slice(-4000)}`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  /** What `/api` says of each repository that it lists. */
  async listed(): Promise<Map<string, Listed>> {
    const headers = { authorization: `Bearer ${this.options.adminToken}` };
    const answer = await fetch(`${this.url}/api/v1/repos?limit=1000`, { headers });
    const { repos } = (await answer.json()) as { readonly repos: readonly (Listed & { readonly repo: string })[] };
    return new Map(repos.map((one) => [one.repo, one]));
  }

  /** Waits until `/api` says that the repository is there. */
  async isReady(name: string, timeoutMs = 45_000): Promise<void> {
    for (const deadline = Date.now() + timeoutMs; (await this.listed()).get(name)?.state !== 'ready';) {
      if (Date.now() > deadline)
        throw new Error(`${name} is not ready after ${timeoutMs} ms\n${this.errors.slice(-4000)}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** `git fsck --full` of a mirror at rest; throws with git's words. */
  async fsck(name: string): Promise<void> {
    await git(['-C', this.mirrorFolder(name), 'fsck', '--full', '--no-dangling', '--no-progress']);
  }
}

/** Starts a server; the caller stops it. */
export function startHotpack(options: HotpackOptions): Promise<Hotpack> {
  return new Hotpack(options).start();
}
