/** Fetches into what a client has already: complete, shallow, with commits of its own. */
import type { Client, Operation, Outcome, RepositoryName } from '../operation.ts';

interface FetchRow {
  readonly name: string;
  readonly repository?: RepositoryName;
  /** Clone arguments of the client's clone. */
  readonly has?: readonly string[];
  /** Whether that clone is of the older or the present repository. */
  readonly from?: 'older' | 'present';
  readonly fetch: readonly string[];
  readonly config?: readonly string[];
  readonly before?: (client: Client) => Promise<void>;
}

function fetch(row: FetchRow): Operation {
  return {
    name: row.name,
    repository: row.repository ?? 'rich',
    run: async (client): Promise<Outcome> => {
      await client.prepare(row.from === 'present' ? client.straight : client.older, row.has);
      await row.before?.(client);
      await client.inWork(['fetch', '-q', ...row.fetch], row.config === undefined ? {} : { config: row.config });
      return { clone: await client.read() };
    },
  };
}

function fetchBySha(name: string, revision: string, args: readonly string[] = []): Operation {
  return {
    name,
    repository: 'rich',
    run: async (client) => {
      await client.prepareEmpty();
      await client.inWork(['fetch', '-q', ...args, 'origin', `${client.revision(revision)}:refs/wanted`]);
      return { clone: await client.read() };
    },
  };
}

export const fetchOperations: readonly Operation[] = [
  fetch({ name: 'fetch', fetch: [] }),
  fetch({ name: 'fetch --tags --prune', fetch: ['--tags', '--prune'] }),
  fetch({ name: 'fetch one branch into FETCH_HEAD', fetch: ['origin', 'topic/two'] }),
  fetch({
    name: 'fetch --no-tags one branch',
    fetch: ['--no-tags', 'origin', '+refs/heads/main:refs/remotes/origin/main'],
  }),
  fetch({ name: 'fetch follows tags', has: ['--no-tags'], fetch: ['origin', '+refs/heads/*:refs/remotes/origin/*'] }),
  fetch({ name: 'fetch refs/pull', fetch: ['origin', '+refs/pull/*:refs/pull/*'] }),
  fetch({ name: 'fetch, nothing new', from: 'present', fetch: [] }),
  fetch({ name: 'fetch with 60 local commits', fetch: [], before: (client) => client.commitLocally(60) }),
  fetch({ name: 'fetch with 300 local commits', fetch: [], before: (client) => client.commitLocally(300) }),
  fetch({
    name: 'fetch with 60 local commits, skipping negotiation',
    fetch: [],
    config: ['fetch.negotiationAlgorithm=skipping'],
    before: (client) => client.commitLocally(60),
  }),
  fetch({ name: 'fetch without ofs-delta', fetch: [], config: ['repack.useDeltaBaseOffset=false'] }),
  fetch({ name: 'fetch keeps its pack', fetch: [], config: ['fetch.unpackLimit=1'] }),
  fetch({ name: 'fetch unpacks', fetch: [], config: ['fetch.unpackLimit=100000'] }),
  fetch({ name: 'fetch --refetch', from: 'present', fetch: ['--refetch', 'origin', 'main'] }),
  fetch({ name: 'fetch --depth 1 into a full clone', fetch: ['--depth=1'] }),
  fetch({ name: 'fetch --depth 5 of every branch', has: ['--depth=2', '--no-single-branch'], fetch: ['--depth=5'] }),
  fetch({ name: 'fetch into a shallow clone', has: ['--depth=1'], fetch: [] }),
  fetch({ name: 'fetch into a shallow clone of every branch', has: ['--depth=2', '--no-single-branch'], fetch: [] }),
  fetch({ name: 'fetch --depth 1 into a shallow clone', has: ['--depth=1'], fetch: ['--depth=1'] }),
  fetch({ name: 'fetch --deepen 5', from: 'present', has: ['--depth=3'], fetch: ['--deepen=5'] }),
  fetch({ name: 'fetch --deepen 40 into tags', from: 'present', has: ['--depth=1'], fetch: ['--deepen=40'] }),
  fetch({ name: 'fetch --deepen 2 with a new commit', has: ['--depth=3'], fetch: ['--deepen=2'] }),
  fetch({ name: 'fetch --depth less than before', from: 'present', has: ['--depth=10'], fetch: ['--depth=2'] }),
  fetch({ name: 'fetch --unshallow', from: 'present', has: ['--depth=3'], fetch: ['--unshallow'] }),
  fetch({
    name: 'fetch --unshallow with a new commit',
    has: ['--depth=3', '--no-single-branch'],
    fetch: ['--unshallow'],
  }),
  fetch({
    name: 'fetch --shallow-since',
    repository: 'dated',
    has: ['--depth=2'],
    fetch: ['--shallow-since=2020-10-01T00:00:00Z'],
  }),
  fetch({
    name: 'fetch --shallow-exclude',
    repository: 'dated',
    from: 'present',
    has: ['--depth=2'],
    fetch: ['--shallow-exclude=day-7'],
  }),
  fetch({ name: 'fetch --update-shallow', has: ['--depth=4'], fetch: ['--update-shallow'] }),
  fetchBySha('fetch an advertised commit by hash', 'main'),
  fetchBySha('fetch an advertised tag by hash', 'v1.0'),
  fetchBySha('fetch a reachable commit by hash', 'main~25'),
  fetchBySha('fetch a reachable commit by hash --depth 1', 'main~25', ['--depth=1']),
  fetchBySha('fetch refs/pull/1/merge by hash --depth 1', 'refs/pull/1/merge', ['--depth=1']),
];
