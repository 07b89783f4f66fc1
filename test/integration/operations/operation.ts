/**
 * One row of the table: a command (or a chain of them) that a client runs against a repository, and what it ends up
 * with as plain data, so that two runs can be compared: through hotpack, and straight against upstream.
 */
import { join } from 'node:path';
import { assertSound, readClone, type CloneState } from '../../support/clones.ts';
import { git, tryGit, type GitOptions, type GitResult } from '../../support/git.ts';
import type { Protocol } from '../../support/raw-client.ts';
import { revision } from '../../support/repositories.ts';

export type State = 'cold' | 'mirror' | 'new commit';
export const STATES: readonly State[] = ['cold', 'mirror', 'new commit'];
export const PROTOCOLS: readonly Protocol[] = [0, 1, 2];

export type RepositoryName = 'rich' | 'dated' | 'empty' | 'unborn' | 'detached' | 'super' | 'sub';

export type Outcome = Readonly<Record<string, CloneState | string | number | readonly string[]>>;

export interface Operation {
  readonly name: string;
  readonly repository: RepositoryName;
  /** Why cells of that protocol or state cannot run. */
  readonly skip?: (protocol: Protocol, state: State) => string | undefined;
  readonly run: (client: Client) => Promise<Outcome>;
}

export interface ClientOptions {
  /** URL of a folder of repositories: through hotpack, or straight. */
  readonly base: string;
  /** The same folder of repositories, always straight: clients are prepared from it. */
  readonly straight: string;
  /** Where upstream keeps the bare repository of that name of `base`. */
  readonly folderOf: (name: string) => string;
  readonly repository: RepositoryName;
  readonly protocol: Protocol;
  /** An empty folder. */
  readonly folder: string;
}

/** A client with a folder of its own and one remote repository. */
export class Client {
  readonly protocol: Protocol;
  readonly folder: string;
  readonly base: string;
  readonly work: string;
  private readonly options: ClientOptions;

  constructor(options: ClientOptions) {
    this.options = options;
    this.protocol = options.protocol;
    this.folder = options.folder;
    this.base = options.base;
    this.work = join(options.folder, 'work');
  }

  get remote(): string {
    return `${this.base}/${this.options.repository}.git`;
  }

  /** The repository as it was some commits before; never through hotpack. */
  get older(): string {
    return `${this.options.straight}/${this.options.repository}-older.git`;
  }

  get straight(): string {
    return `${this.options.straight}/${this.options.repository}.git`;
  }

  get upstreamFolder(): string {
    return this.options.folderOf(this.options.repository);
  }

  get olderFolder(): string {
    return this.options.folderOf(`${this.options.repository}-older`);
  }

  revision(name: string): string {
    return revision(this.upstreamFolder, name);
  }

  git(args: readonly string[], options: GitOptions = {}): Promise<string> {
    return git(args, { protocol: this.protocol, cwd: this.folder, ...options });
  }

  tryGit(args: readonly string[], options: GitOptions = {}): Promise<GitResult> {
    return tryGit(args, { protocol: this.protocol, cwd: this.folder, ...options });
  }

  /** Git in the work clone. */
  inWork(args: readonly string[], options: GitOptions = {}): Promise<string> {
    return this.git(args, { cwd: this.work, ...options });
  }

  /** Clones `from` (not through hotpack) and points the clone's origin at the remote. */
  async prepare(from: string, args: readonly string[] = []): Promise<void> {
    await this.git(['clone', '-q', ...args, from, this.work]);
    await this.inWork(['remote', 'set-url', 'origin', this.remote]);
  }

  /** An empty repository with the remote as origin, as CI runners make it. */
  async prepareEmpty(): Promise<void> {
    await this.git(['init', '-q', this.work]);
    await this.inWork(['remote', 'add', 'origin', this.remote]);
  }

  /** What the work clone holds; through hotpack it must pass `git fsck --strict` first. */
  async read(): Promise<CloneState> {
    if (this.options.base !== this.options.straight) await assertSound(this.work);
    return readClone(this.work);
  }

  /** Adds `count` commits of the client's own, so that negotiation takes several rounds. */
  async commitLocally(count: number): Promise<void> {
    let stream = '';
    for (let n = 0; n < count; n++) {
      stream += `commit refs/heads/local\ncommitter L <l@example.com> ${1_750_000_000 + n * 60} +0000\ndata 6\nlocal\n`;
      stream += n === 0 ? 'from refs/remotes/origin/main\n' : '';
      stream += `M 644 inline local.txt\ndata ${String(n).length}\n${n}\n\n`;
    }
    await this.inWork(['fast-import', '--quiet'], { input: stream });
  }
}
