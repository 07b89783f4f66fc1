/**
 * Where the table is played: one upstream, and per state one hotpack. Upstream's host `up` is hotpack's, its host
 * `straight` serves the same folders to the clients that ask directly, so that the journal of `up` shows only hotpack.
 *
 * cold: every cell asks for a name of its own that hotpack never saw. mirror: one mirror for all cells, and every fetch
 * is refused. new commit: every cell has a copy of its own, mirrored before upstream gets a commit and a tag.
 */
import { git, temporaryFolder } from '../../support/git.ts';
import { startHotpack, type Hotpack } from '../../support/hotpack.ts';
import type { Protocol } from '../../support/raw-client.ts';
import {
  commitUpstream,
  datedRepository,
  detachedRepository,
  emptyRepository,
  olderDatedRepository,
  olderRichRepository,
  richRepository,
  subRepository,
  superRepository,
  unbornRepository,
} from '../../support/repositories.ts';
import { startUpstream, type Upstream } from '../../support/upstream.ts';
import type { Rule } from '../../support/upstream/rules.ts';
import { fillMirror, tipsOf } from '../house.ts';
import { Client, type Operation, type Outcome, type RepositoryName, type State } from './operation.ts';

const SOURCES: Readonly<Record<string, () => string>> = {
  rich: richRepository,
  'rich-older': olderRichRepository,
  dated: datedRepository,
  'dated-older': olderDatedRepository,
  empty: emptyRepository,
  unborn: unbornRepository,
  detached: detachedRepository,
  super: superRepository,
  sub: subRepository,
};

/** Straight runs against repositories that no state changes: the same in `cold` and `mirror`. */
const straightRuns = new Map<string, Promise<Outcome>>();

/** What a cell of `name` asks for beside the repository itself. */
function family(name: RepositoryName): string[] {
  if (name === 'super') return ['super', 'sub'];
  return name === 'rich' || name === 'dated' ? [name, `${name}-older`] : [name];
}

export interface CellResult {
  readonly through: Outcome;
  readonly straight: Outcome;
  /** Fetches that upstream refused since the cell began (state `mirror`; neighbours that run at once count too). */
  readonly refused: readonly string[];
  /** Objects that upstream sent, and how many were new (state `new commit`). */
  readonly sent: number;
  readonly fresh: number;
}

export class Stage {
  readonly upstream: Upstream;
  readonly hotpack: Hotpack;
  private readonly state: State;
  private readonly forbidden: Rule | undefined;
  private cells = 0;

  private constructor(state: State, upstream: Upstream, hotpack: Hotpack, forbidden: Rule | undefined) {
    this.state = state;
    this.upstream = upstream;
    this.hotpack = hotpack;
    this.forbidden = forbidden;
  }

  /** `names`: the repositories that are asked for; default: all. */
  static async open(
    state: State,
    start: typeof startHotpack = startHotpack,
    names: readonly string[] = Object.keys(SOURCES),
  ): Promise<Stage> {
    const upstream = await startUpstream();
    for (const name of names) {
      upstream.add(`up/base/${name}`, (SOURCES[name] as () => string)());
      upstream.alias(`straight/base/${name}`, `up/base/${name}`);
    }
    const hotpack = await start({ upstreams: { up: upstream.base('up') } });
    if (state !== 'mirror') return new Stage(state, upstream, hotpack, undefined);
    for (const name of names) await fillMirror({ upstream, hotpack }, `up/base/${name}`);
    const forbidden = upstream.when(
      { kind: 'fetch', test: (entry) => entry.repository.startsWith('up/') },
      { do: 'status', status: 500, body: 'no fetch here' },
    );
    return new Stage(state, upstream, hotpack, forbidden);
  }

  async close(): Promise<void> {
    await this.hotpack.stop();
    await this.upstream.stop();
  }

  /** Plays one cell, through hotpack and straight. */
  async play(operation: Operation, protocol: Protocol): Promise<CellResult> {
    const set = await this.prepare(operation);
    const repository = `up/${set}/${operation.repository}`;
    const fresh =
      this.state === 'new commit' ? await pushSomething(this.upstream.folder(repository), operation.repository) : 0;
    const straight = await this.straight(operation, protocol, set);
    const mark = this.upstream.journal.mark();
    const refusedBefore = this.forbidden?.hits.length ?? 0;
    const through = await operation.run(this.client(operation, protocol, `${this.hotpack.url}/git/up/${set}`, set));
    return {
      through,
      straight,
      refused: (this.forbidden?.hits.slice(refusedBefore) ?? []).map(
        (entry) => `${entry.repository}: ${entry.lines.join(' | ')}`,
      ),
      sent: this.upstream.journal.objectsSent({ repository, since: mark }),
      fresh,
    };
  }

  private async prepare(operation: Operation): Promise<string> {
    if (this.state === 'mirror') return 'base';
    const set = `cell-${++this.cells}`;
    for (const name of family(operation.repository)) {
      if (this.state === 'new commit' && !name.endsWith('-older'))
        this.upstream.add(`up/${set}/${name}`, this.upstream.folder(`up/base/${name}`));
      else this.upstream.alias(`up/${set}/${name}`, `up/base/${name}`);
      this.upstream.alias(`straight/${set}/${name}`, `up/${set}/${name}`);
    }
    if (this.state === 'new commit') {
      for (const name of family(operation.repository)) {
        if (!name.endsWith('-older')) await fillMirror(this, `up/${set}/${name}`);
      }
    }
    return set;
  }

  /** The straight run is the same for every cell of the same repository state. */
  private straight(operation: Operation, protocol: Protocol, set: string): Promise<Outcome> {
    const run = (): Promise<Outcome> =>
      operation.run(this.client(operation, protocol, this.upstream.base(`straight/${set}`), set));
    if (this.state === 'new commit') return run();
    const key = `${operation.name}/${protocol}`;
    const known = straightRuns.get(key) ?? run();
    straightRuns.set(key, known);
    return known;
  }

  private client(operation: Operation, protocol: Protocol, base: string, set: string): Client {
    return new Client({
      base,
      straight: this.upstream.base(`straight/${set}`),
      folderOf: (name) => this.upstream.folder(`up/${set}/${name}`),
      repository: operation.repository,
      protocol,
      folder: temporaryFolder('cell'),
    });
  }
}

/** A commit on main and a tag of it; gives the number of objects that upstream has now and had not before. */
async function pushSomething(folder: string, repository: RepositoryName): Promise<number> {
  if (repository === 'empty') return 0;
  const before = tipsOf(folder);
  const tip = commitUpstream(folder);
  await git(['tag', '-a', '-m', 'pushed', 'pushed', tip], { cwd: folder });
  const listed = await git(['rev-list', '--objects', 'refs/tags/pushed', ...before.map((oid) => `^${oid}`)], {
    cwd: folder,
  });
  return listed.split('\n').filter((line) => line !== '').length;
}
