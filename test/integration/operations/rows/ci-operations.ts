/** The commands that CI systems and package managers run, as they were captured. */
import type { Client, Operation, RepositoryName } from '../operation.ts';

const CHECKOUT = ['-c', 'protocol.version=2'];
const checkoutSkip: Operation['skip'] = (protocol) =>
  protocol === 2 ? undefined : 'actions/checkout sets protocol.version=2 itself';

function ci(
  name: string,
  run: (client: Client) => Promise<void>,
  skip?: Operation['skip'],
  repository: RepositoryName = 'rich',
): Operation {
  return {
    name,
    repository,
    ...(skip === undefined ? {} : { skip }),
    run: async (client) => {
      await run(client);
      return { clone: await client.read() };
    },
  };
}

/** What actions/checkout asks for one commit by. */
function checkoutFetch(refspec: string, options: readonly string[] = ['--no-recurse-submodules']): string[] {
  return [...CHECKOUT, 'fetch', '--no-tags', '--prune', ...options, '--depth=1', 'origin', refspec];
}

async function checkoutBySha(client: Client, options: readonly string[]): Promise<void> {
  const sha = client.revision('main');
  await client.prepareEmpty();
  await client.inWork(checkoutFetch(`+${sha}:refs/remotes/origin/main`, options));
  await client.inWork(['checkout', '-q', '--force', '-B', 'main', 'refs/remotes/origin/main']);
}

export const ciOperations: readonly Operation[] = [
  ci('actions/checkout by hash', (client) => checkoutBySha(client, ['--no-recurse-submodules']), checkoutSkip),
  ci(
    'actions/checkout v4 with --progress',
    (client) => checkoutBySha(client, ['--progress', '--no-recurse-submodules']),
    checkoutSkip,
  ),
  ci(
    'actions/checkout with filter: blob:none',
    (client) => checkoutBySha(client, ['--no-recurse-submodules', '--filter=blob:none']),
    checkoutSkip,
  ),
  ci(
    'actions/checkout on a kept work tree',
    async (client) => {
      await client.prepare(client.older, ['--depth=1']);
      const sha = client.revision('main');
      await client.inWork(checkoutFetch(`+${sha}:refs/remotes/origin/main`));
      await client.inWork(checkoutFetch(`+${sha}:refs/remotes/origin/main`));
    },
    checkoutSkip,
  ),
  ci(
    'actions/checkout, fetch-depth: 0',
    async (client) => {
      await client.prepareEmpty();
      await client.inWork([
        ...CHECKOUT,
        'fetch',
        '--prune',
        '--no-recurse-submodules',
        'origin',
        '+refs/heads/*:refs/remotes/origin/*',
        '+refs/tags/*:refs/tags/*',
      ]);
    },
    checkoutSkip,
  ),
  ci(
    'actions/checkout of a tag',
    async (client) => {
      await client.prepareEmpty();
      await client.inWork(checkoutFetch(`+${client.revision('v1.1')}:refs/tags/v1.1`));
    },
    checkoutSkip,
  ),
  ci('GitLab runner, depth 20', async (client) => {
    await client.prepareEmpty();
    const refspecs = [`+${client.revision('main')}:refs/pipelines/1`, '+refs/heads/main:refs/remotes/origin/main'];
    await client.inWork([
      'fetch',
      'origin',
      '--no-recurse-submodules',
      '--depth',
      '20',
      '--prune',
      '--quiet',
      ...refspecs,
    ]);
  }),
  ci('Jenkins', async (client) => {
    await client.prepareEmpty();
    await client.inWork([
      'fetch',
      '--tags',
      '--force',
      '--progress',
      '--',
      client.remote,
      '+refs/heads/*:refs/remotes/origin/*',
    ]);
  }),
  ci('go mod download of a tag', async (client) => {
    await client.git(['init', '-q', '--bare', client.work]);
    await client.inWork(['fetch', '-f', '--depth=1', client.remote, 'refs/tags/v1.1:refs/tags/v1.1']);
  }),
  ci('go mod download of everything', async (client) => {
    await client.git(['init', '-q', '--bare', client.work]);
    await client.inWork(['fetch', '-f', client.remote, 'refs/heads/*:refs/heads/*', 'refs/tags/*:refs/tags/*']);
  }),
  ci('cargo with the git CLI', async (client) => {
    await client.git(['init', '-q', client.work]);
    await client.inWork([
      'fetch',
      '--no-tags',
      '--force',
      '--update-head-ok',
      client.remote,
      '+HEAD:refs/remotes/origin/HEAD',
    ]);
  }),
  ci('cargo with the git CLI, by hash', async (client) => {
    await client.git(['init', '-q', client.work]);
    const sha = client.revision('main~3');
    await client.inWork([
      'fetch',
      '--no-tags',
      '--force',
      '--update-head-ok',
      client.remote,
      `+${sha}:refs/commit/${sha}`,
    ]);
  }),
];
