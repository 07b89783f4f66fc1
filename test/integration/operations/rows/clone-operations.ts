/** Clones of every shape, and what else starts from nothing. */
import type { Operation, RepositoryName } from '../operation.ts';

function clone(name: string, args: readonly string[], repository: RepositoryName = 'rich'): Operation {
  return {
    name,
    repository,
    run: async (client) => {
      await client.git(['clone', '-q', ...args, client.remote, client.work]);
      return { clone: await client.read() };
    },
  };
}

function lsRemote(
  name: string,
  args: readonly string[],
  patterns: readonly string[] = [],
  repository: RepositoryName = 'rich',
): Operation {
  return {
    name,
    repository,
    run: async (client) => {
      const result = await client.tryGit(['ls-remote', ...args, client.remote, ...patterns]);
      return { code: result.code, output: result.stdout.replaceAll(client.base, 'BASE') };
    },
  };
}

export const cloneOperations: readonly Operation[] = [
  clone('clone', []),
  clone('clone --progress', ['--progress']),
  clone('clone --mirror', ['--mirror']),
  clone('clone --bare', ['--bare']),
  clone('clone --no-tags', ['--no-tags']),
  clone('clone --single-branch', ['--single-branch']),
  clone('clone --single-branch --no-tags', ['--single-branch', '--no-tags']),
  clone('clone -b branch', ['-b', 'release/1.x']),
  clone('clone -b branch --single-branch', ['-b', 'topic/two', '--single-branch']),
  clone('clone -b tag', ['-b', 'v1.1']),
  clone('clone -b tag --depth 1', ['-b', 'v1.0', '--depth=1']),
  clone('clone -b tag of a tag --depth 2', ['-b', 'v1.0-signed-off', '--depth=2']),
  clone('clone --depth 1', ['--depth=1']),
  clone('clone --depth 3', ['--depth=3']),
  clone('clone --depth 30 through merges', ['--depth=30']),
  clone('clone --depth 1 --no-single-branch', ['--depth=1', '--no-single-branch']),
  clone('clone --depth 5 --no-single-branch', ['--depth=5', '--no-single-branch']),
  clone('clone --depth 1 --bare', ['--depth=1', '--bare']),
  clone('clone --shallow-since', ['--shallow-since=2020-10-01T00:00:00Z'], 'dated'),
  clone(
    'clone --shallow-since --no-single-branch',
    ['--shallow-since=2020-10-03T00:00:00Z', '--no-single-branch'],
    'dated',
  ),
  clone('clone --shallow-exclude', ['--shallow-exclude=day-14'], 'dated'),
  clone('clone --shallow-exclude twice', ['--shallow-exclude=day-14', '--shallow-exclude=branch'], 'dated'),
  clone('clone of an empty repository', [], 'empty'),
  clone('clone of an unborn HEAD', [], 'unborn'),
  clone('clone --bare of an unborn HEAD', ['--bare'], 'unborn'),
  clone('clone of a detached HEAD', [], 'detached'),
  {
    name: 'fetch from an empty repository',
    repository: 'empty',
    run: async (client) => {
      await client.prepareEmpty();
      await client.inWork(['fetch', '-q', 'origin']);
      return { clone: await client.read() };
    },
  },
  lsRemote('ls-remote', []),
  lsRemote('ls-remote --symref', ['--symref']),
  lsRemote('ls-remote --heads', ['--heads']),
  lsRemote('ls-remote --tags', ['--tags']),
  lsRemote('ls-remote HEAD', [], ['HEAD']),
  lsRemote('ls-remote pattern', [], ['refs/pull/*', 'v1*']),
  lsRemote('ls-remote --exit-code without a match', ['--exit-code'], ['no-such-ref']),
  lsRemote('ls-remote of an empty repository', [], [], 'empty'),
  lsRemote('ls-remote --symref of an unborn HEAD', ['--symref'], [], 'unborn'),
  lsRemote('ls-remote of a detached HEAD', ['--symref'], [], 'detached'),
  {
    name: 'clone --recurse-submodules',
    repository: 'super',
    run: async (client) => {
      await client.git(['clone', '-q', '--recurse-submodules', client.remote, client.work]);
      const inner = await client.git(['-C', 'sub', 'rev-parse', 'HEAD'], { cwd: client.work });
      return { clone: await client.read(), inner };
    },
  },
  {
    name: 'submodule update --init --force --depth=1',
    repository: 'super',
    run: async (client) => {
      await client.git(['clone', '-q', '--depth=1', client.remote, client.work]);
      await client.inWork(['submodule', '--quiet', 'update', '--init', '--force', '--depth=1']);
      const inner = await client.git(['-C', 'sub', 'rev-list', 'HEAD'], { cwd: client.work });
      return { clone: await client.read(), inner };
    },
  },
];
