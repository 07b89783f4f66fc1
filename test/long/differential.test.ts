/**
 * Random pushes to an upstream and random commands of clients, each through hotpack and straight against the upstream: both
 * must end alike, in refs, shallow boundary and objects, on each runtime. In between hotpack is killed and started again. Seeds
 * make the same story again; `HOTPACK_TEST_SEED` and `HOTPACK_TEST_STEPS` play another one.
 */
import { deepEqual, equal } from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { assertSound, readClone } from '../support/clones.ts';
import { FastImport } from '../support/fast-import.ts';
import { git, gitSync, temporaryFolder, tryGit } from '../support/git.ts';
import { RUNTIMES, type Place } from '../integration/contract/places.ts';
import type { Hotpack } from '../support/hotpack.ts';
import { makeRandomHistory, seededRandom } from '../support/random-history.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';

const SEEDS = (process.env['HOTPACK_TEST_SEED'] ?? '1,2').split(',').map(Number);
const STEPS = Number(process.env['HOTPACK_TEST_STEPS'] ?? 60);
const MOST_PAIRS = 6;

let upstream: Upstream;

beforeAll(async () => {
  upstream = await startUpstream();
});

afterAll(async () => {
  await upstream.stop();
});

/** The same client twice. */
interface Pair {
  readonly through: string;
  readonly direct: string;
  readonly isMirror: boolean;
  /** A promisor's later fetches bring what its work tree happens to lack: only what is reachable is compared. */
  readonly isPartial: boolean;
}

class Story {
  readonly #hotpack: Hotpack;
  readonly #repository: string;
  readonly #random: () => number;
  readonly #folder: string;
  readonly #work = temporaryFolder('differential');
  readonly #pairs: Pair[] = [];
  #clock = 1_650_000_000;
  #made = 0;

  constructor({
    hotpack,
    repository,
    seed,
  }: {
    readonly hotpack: Hotpack;
    readonly repository: string;
    readonly seed: number;
  }) {
    this.#hotpack = hotpack;
    this.#repository = repository;
    this.#random = seededRandom(seed);
    this.#folder = upstream.folder(repository);
  }

  async step(): Promise<string> {
    const dice = this.#random();
    if (dice < 0.35) return this.#push();
    if (dice < 0.4) {
      await this.#hotpack.kill9();
      await this.#hotpack.start();
      return 'killed';
    }
    if (dice < 0.65 || this.#pairs.length === 0) return this.#clone();
    if (dice < 0.72) return this.#several();
    return this.#fetch(this.#pick(this.#pairs));
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  #pick<T>(items: readonly T[]): T {
    return items[this.#below(items.length)] as T;
  }

  #refs(prefix: string): { readonly name: string; readonly oid: string }[] {
    return gitSync(['for-each-ref', '--format=%(refname) %(objectname)', prefix], { cwd: this.#folder })
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => ({ name: line.split(' ')[0] as string, oid: line.split(' ')[1] as string }));
  }

  /** What a day brings: commits, merges, branches that come, go and are rewritten, tags, heads of pull requests. */
  #push(): string {
    const heads = this.#refs('refs/heads/');
    const head = this.#pick(heads);
    const git = (...args: string[]): string => gitSync(args, { cwd: this.#folder }).trim();
    const commitTo = (ref: string, from: string, merge: string[] = []): void => {
      const stream = new FastImport((this.#clock += 600));
      const n = this.#made++;
      const data = `line ${n}\n`.repeat(1 + this.#below(400));
      stream.commit({ ref, from, merge, message: `work ${n}`, changes: [{ path: `w${n % 7}/f${n % 13}`, data }] });
      stream.run(this.#folder);
    };
    const what = this.#random();
    if (what < 0.35) {
      for (let more = 1 + this.#below(4); more > 0; more--) {
        commitTo(head.name, git('rev-parse', head.name));
      }
      return `commits to ${head.name}`;
    }
    if (what < 0.5) {
      const name = `refs/heads/topic${this.#made}`;
      commitTo(name, head.oid);
      return `branch ${name}`;
    }
    if (what < 0.6) {
      const other = this.#pick(heads);
      if (other.oid !== head.oid) commitTo(head.name, head.oid, [other.oid]);
      return `merge into ${head.name}`;
    }
    if (what < 0.7) {
      const parent = git('rev-list', '-1', '--skip=1', head.oid);
      commitTo(head.name, parent === '' ? head.oid : parent);
      return `rewritten ${head.name}`;
    }
    if (what < 0.78) {
      if (heads.length > 2 && head.name !== git('symbolic-ref', 'HEAD')) git('update-ref', '-d', head.name);
      return `deleted ${head.name}`;
    }
    if (what < 0.88) {
      const name = `t${this.#below(6)}`;
      if (this.#random() < 0.5) git('tag', '-f', name, head.oid);
      else git('tag', '-f', '-a', '-m', name, name, head.oid);
      return `tag ${name}`;
    }
    if (what < 0.96) {
      commitTo(`refs/pull/${this.#made}/head`, head.oid);
      return 'pull request';
    }
    git('symbolic-ref', 'HEAD', head.name);
    return `HEAD is ${head.name}`;
  }

  #wayToClone(): { readonly args: string[]; readonly isMirror: boolean; readonly isPartial: boolean } {
    const branch = this.#pick(this.#refs('refs/heads/')).name.slice('refs/heads/'.length);
    const depth = `--depth=${1 + this.#below(5)}`;
    const whole = { isMirror: false, isPartial: false };
    const partial = { isMirror: false, isPartial: true };
    return this.#pick([
      { args: [], ...whole },
      { args: ['--bare'], ...whole },
      { args: ['--mirror'], isMirror: true, isPartial: false },
      { args: [depth], ...whole },
      { args: [depth, '--no-single-branch'], ...whole },
      { args: [depth, '-b', branch], ...whole },
      { args: ['--single-branch', '-b', branch], ...whole },
      { args: ['--single-branch', '--no-tags', '-b', branch], ...whole },
      { args: [`--shallow-since=${1_600_000_000 + this.#below(50_000)}`], ...whole },
      { args: ['--bare', '--filter=blob:none'], ...partial },
      { args: ['--filter=blob:none'], ...partial },
      { args: ['--filter=tree:0', depth], ...partial },
      { args: ['--bare', '--filter=blob:limit=200'], ...partial },
      { args: ['--bare', '--filter=tree:2'], ...partial },
    ]);
  }

  async #clone(): Promise<string> {
    const { args, isMirror, isPartial } = this.#wayToClone();
    const n = this.#made++;
    const pair: Pair = {
      through: join(this.#work, `${n}-through`),
      direct: join(this.#work, `${n}-direct`),
      isMirror,
      isPartial,
    };
    const protocol = this.#pick([0, 1, 2, 2] as const);
    const run = (url: string, folder: string) => tryGit(['clone', '-q', ...args, url, folder], { protocol });
    const [through, direct] = await Promise.all([
      run(this.#hotpack.repository(this.#repository), pair.through),
      run(upstream.url(this.#repository), pair.direct),
    ]);
    const said = `clone ${args.join(' ')} (v${protocol})`;
    equal(through.code, direct.code, `${said}: ${through.stderr} against ${direct.stderr}`);
    if (direct.code !== 0) return said;
    await this.#compare(pair, said);
    this.#pairs.push(pair);
    if (this.#pairs.length > MOST_PAIRS) this.#pairs.splice(this.#below(MOST_PAIRS), 1);
    return said;
  }

  /** Nobody waits for another. */
  async #several(): Promise<string> {
    const count = 2 + this.#below(4);
    const said: string[] = [];
    const ways = Array.from({ length: count }, () => this.#clone());
    for (const way of ways) said.push(await way); // oxlint-disable-line no-await-in-loop -- they run already
    return said.join(' | ');
  }

  async #fetch(pair: Pair): Promise<string> {
    const pulls = this.#refs('refs/pull/');
    const isShallow = (await readClone(pair.direct)).shallow.length > 0;
    const pull = pulls.length > 0 ? this.#pick(pulls) : undefined;
    const ways: string[][] = [
      ['--prune', 'origin'],
      ['--prune', 'origin'],
      ['--tags', '--force', 'origin'],
      [`--depth=${1 + this.#below(6)}`, 'origin'],
      ['--refetch', 'origin'],
      ['--force', 'origin', `+${this.#pick(this.#refs('refs/heads/')).oid}:refs/asked/by-hash`],
    ];
    if (pull !== undefined) {
      ways.push(['origin', `+${pull.name}:refs/asked/pull`], ['origin', `+${pull.oid}:refs/asked/pull-by-hash`]);
    }
    if (isShallow) ways.push([`--deepen=${1 + this.#below(4)}`, 'origin'], ['--unshallow', 'origin']);
    const args = this.#pick(ways);
    const protocol = this.#pick([0, 1, 2, 2] as const);
    const run = (url: string, cwd: string) =>
      tryGit(['fetch', '-q', ...args], { cwd, protocol, config: [`remote.origin.url=${url}`] });
    // The address of a server that was started again is another one.
    await git(['config', 'remote.origin.url', this.#hotpack.repository(this.#repository)], { cwd: pair.through });
    const [through, direct] = await Promise.all([
      run(this.#hotpack.repository(this.#repository), pair.through),
      run(upstream.url(this.#repository), pair.direct),
    ]);
    const said = `fetch ${args.join(' ')} (v${protocol}) in ${pair.direct}`;
    equal(through.code, direct.code, `${said}: ${through.stderr} against ${direct.stderr}`);
    await this.#compare(pair, said);
    return said;
  }

  async #compare(pair: Pair, said: string): Promise<void> {
    await assertSound(pair.through);
    const [through, direct] = await Promise.all([readClone(pair.through), readClone(pair.direct)]);
    const [ours, theirs] = await Promise.all([reachable(pair.through), reachable(pair.direct)]);
    const stateOf = ({ refs, head, shallow }: typeof direct, objects: string[]) => ({
      said,
      refs,
      head,
      shallow,
      objects,
    });
    deepEqual(stateOf(through, ours), stateOf(direct, theirs));
  }
}

/** Every object that refs reach, those that a promisor has not got marked by `?`. */
async function reachable(folder: string): Promise<string[]> {
  const text = await git(['rev-list', '--objects', '--all', '--missing=print', '--no-object-names'], {
    cwd: folder,
    env: { GIT_NO_LAZY_FETCH: '1', GIT_ALLOW_PROTOCOL: 'none' },
  });
  return text.split('\n').toSorted();
}

describe.each(RUNTIMES)('$name', (runtime) => {
  let place: Place;

  afterEach(() => place.close());

  it.skipIf(runtime.isSkipped).each(SEEDS)(
    'ends a story by seed %i as the upstream itself does',
    { timeout: 600_000 },
    async (seed) => {
      place = await runtime.open();
      const { folder } = makeRandomHistory({ seed, commits: 60, skewedClocks: false });
      const repository = `up/${runtime.name.replaceAll(' ', '-')}/${seed}`.toLowerCase();
      const bare = upstream.add(repository, folder);
      for (const name of ['allowAnySHA1InWant', 'allowFilter']) {
        gitSync(['config', `uploadpack.${name}`, 'true'], { cwd: bare });
      }
      // Tagged trees, too: under a filter by depth git takes one that is some commit's for unnamed, or not, by what it met first.
      const unwanted = gitSync(['for-each-ref', '--format=delete %(refname)', 'refs/keep', 'refs/tags/of-t*'], {
        cwd: bare,
      });
      gitSync(['update-ref', '--stdin'], { cwd: bare, input: unwanted });
      gitSync(['symbolic-ref', 'HEAD', 'refs/heads/work'], { cwd: bare });
      const hotpack = await place.server({ upstreams: { up: upstream.base('up') } }).start();
      const story = new Story({ hotpack, repository, seed });
      const told: string[] = [];
      try {
        // oxlint-disable-next-line no-await-in-loop -- a story has an order
        for (let n = 0; n < STEPS; n++) told.push(await story.step());
        expect(told).toHaveLength(STEPS);
        if (existsSync(hotpack.mirrorFolder(repository))) await hotpack.fsck(repository);
      } catch (error) {
        throw new Error(`after:\n${told.slice(-12).join('\n')}\n${hotpack.stderr.slice(-3000)}`, { cause: error });
      }
    },
  );
});
