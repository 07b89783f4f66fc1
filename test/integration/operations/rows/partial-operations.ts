/** Partial clones by every filter, and the lazy fetches after them. Objects are counted: a filter that is ignored shows. */
import { gitSync } from '../../../support/git.ts';
import type { Operation } from '../operation.ts';

function partial(
  name: string,
  args: readonly string[],
  options: { readonly skip?: Operation['skip'] } = {},
): Operation {
  return {
    name,
    repository: 'rich',
    ...(options.skip === undefined ? {} : { skip: options.skip }),
    run: async (client) => {
      await client.git(['clone', '-q', ...args, client.remote, client.work]);
      return { clone: await client.read() };
    },
  };
}

/** A partial clone that then needs what it left out. */
function lazy(name: string, args: readonly string[], then: readonly (readonly string[])[]): Operation {
  return {
    name,
    repository: 'rich',
    run: async (client) => {
      await client.git(['clone', '-q', ...args, client.remote, client.work]);
      const before = await client.read();
      let output = '';
      for (const command of then) output += await client.inWork(command);
      return { before, output, after: await client.read() };
    },
  };
}

export const partialOperations: readonly Operation[] = [
  partial('clone --filter=blob:none with its checkout', ['--filter=blob:none']),
  partial('clone --filter=blob:none --no-checkout', ['--filter=blob:none', '--no-checkout']),
  partial('clone --filter=blob:none --bare', ['--filter=blob:none', '--bare']),
  partial('clone --filter=blob:limit=1k --no-checkout', ['--filter=blob:limit=1k', '--no-checkout']),
  partial('clone --filter=blob:limit=100k', ['--filter=blob:limit=100k']),
  partial('clone --filter=tree:0 with its checkout', ['--filter=tree:0', '--no-tags']),
  partial('clone --filter=tree:0 --no-checkout', ['--filter=tree:0', '--no-tags', '--no-checkout']),
  partial('clone --filter=tree:2 --no-checkout', ['--filter=tree:2', '--no-tags', '--no-checkout']),
  partial('clone --filter=object:type=commit', ['--filter=object:type=commit', '--no-tags', '--bare']),
  partial('clone --filter=object:type=tree', ['--filter=object:type=tree', '--no-tags', '--bare']),
  partial('clone --filter=object:type=blob', ['--filter=object:type=blob', '--no-tags', '--bare', '--single-branch']),
  partial('clone --filter=object:type=tag', ['--filter=object:type=tag', '--no-tags', '--bare']),
  partial('clone --filter=combine:blob:none+tree:3', [
    '--filter=combine:blob:none+tree:3',
    '--no-tags',
    '--no-checkout',
  ]),
  partial('clone --filter=blob:limit=2k --filter=tree:2', [
    '--filter=blob:limit=2k',
    '--filter=tree:2',
    '--no-tags',
    '--no-checkout',
  ]),
  partial('clone --filter=blob:none --depth 1', ['--filter=blob:none', '--depth=1']),
  partial('clone --filter=tree:0 --depth 3 --no-single-branch', [
    '--filter=tree:0',
    '--no-tags',
    '--depth=3',
    '--no-single-branch',
    '--no-checkout',
  ]),
  partial('clone --filter=blob:none --sparse --depth 1', ['--filter=blob:none', '--sparse', '--depth=1']),
  {
    name: 'clone --filter=sparse:oid=<full hash>',
    repository: 'rich',
    run: async (client) => {
      const rules = gitSync(['rev-parse', 'main:sparse-rules'], { cwd: client.upstreamFolder }).trim();
      await client.git(['clone', '-q', `--filter=sparse:oid=${rules}`, '--no-checkout', client.remote, client.work]);
      return { clone: await client.read() };
    },
  },
  {
    name: 'clone --filter=sparse:oid=<revision>:<path>',
    repository: 'rich',
    skip: (_protocol, state) =>
      state === 'cold' ? undefined : 'sparse:oid by a name is passed through: it always costs an upstream fetch',
    run: async (client) => {
      await client.git([
        'clone',
        '-q',
        '--filter=sparse:oid=main:sparse-rules',
        '--no-checkout',
        client.remote,
        client.work,
      ]);
      return { clone: await client.read() };
    },
  },
  lazy(
    'blob:none, then log -p and an old checkout',
    ['--filter=blob:none', '--no-checkout'],
    [
      ['log', '-p', '-3', '--format=%H', 'origin/release/1.x'],
      ['checkout', '-q', 'v1.0'],
    ],
  ),
  lazy(
    'tree:0, then ls-tree and cat-file',
    ['--filter=tree:0', '--no-tags', '--no-checkout'],
    [
      ['ls-tree', '-r', 'origin/main~30'],
      ['cat-file', '-p', 'origin/main:README.md'],
    ],
  ),
  lazy('tree:2, then a checkout', ['--filter=tree:2', '--no-tags', '--no-checkout'], [['checkout', '-q', 'topic/two']]),
  lazy(
    'object:type=commit, then a checkout',
    ['--filter=object:type=commit', '--no-tags', '--no-checkout'],
    [['checkout', '-q', 'main']],
  ),
  {
    name: 'fetch into a blob:none clone',
    repository: 'rich',
    run: async (client) => {
      await client.prepare(client.older, ['--filter=blob:none', '--no-checkout']);
      await client.inWork(['fetch', '-q']);
      return { clone: await client.read() };
    },
  },
  {
    name: 'fetch --refetch --filter=blob:limit=100 into a blob:none clone',
    repository: 'rich',
    run: async (client) => {
      await client.prepare(client.straight, ['--filter=blob:none', '--no-checkout']);
      await client.inWork(['fetch', '-q', '--refetch', '--filter=blob:limit=100']);
      return { clone: await client.read() };
    },
  },
  {
    name: 'fetch of one blob by hash with a filter that leaves blobs out',
    repository: 'rich',
    run: async (client) => {
      const blob = gitSync(['rev-parse', 'main:assets/logo.bin'], { cwd: client.upstreamFolder }).trim();
      await client.prepareEmpty();
      await client.inWork(['fetch', '-q', '--filter=blob:none', 'origin', blob]);
      return { clone: await client.read() };
    },
  },
];
