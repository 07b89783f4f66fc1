/**
 * The README's recipes, each as its client does it, with the README's own configuration: the public section for a user's git,
 * what actions/checkout and a GitLab runner run, and cargo with its own git and with the command line's.
 */
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { assertSound } from '../support/clones.ts';
import { FastImport } from '../support/fast-import.ts';
import { git, gitEnvironment, gitSync, temporaryFolder, tryGit } from '../support/git.ts';
import { startHotpack, type Hotpack } from '../support/hotpack.ts';
import { revision, richRepository } from '../support/repositories.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';

const run = promisify(execFile);
const TOKEN = 'token-of-the-job-41d0';
const basic = (user: string): string => `Basic ${Buffer.from(`${user}:${TOKEN}`).toString('base64')}`;

const hasCargo = await run('cargo', ['--version']).then(
  () => true,
  () => false,
);

let upstream: Upstream;
let hotpack: Hotpack;
/** A home with a configuration of its own. */
let env: Record<string, string>;

beforeEach(async () => {
  upstream = await startUpstream();
  upstream.add('gh/you/app', richRepository());
  upstream.add('gl/group/team/app', richRepository());
  hotpack = await startHotpack({
    upstreams: { 'github.com': upstream.base('gh'), 'gitlab.com': upstream.base('gl') },
  });
  const home = temporaryFolder('recipe');
  // What the README tells, for where hotpack runs now. Nothing but hotpack can be reached.
  writeFileSync(join(home, '.gitconfig'), readmeSection('ini'));
  env = { HOME: home, XDG_CONFIG_HOME: home, GIT_ALLOW_PROTOCOL: 'http' };
});
afterEach(async () => {
  await hotpack.stop();
  await upstream.stop();
});

/** The first fenced block of that language below "Point git at it". */
function readmeSection(language: string): string {
  const readme = readFileSync(join(import.meta.dirname, '..', '..', 'README.md'), 'utf8');
  const part = readme.slice(readme.indexOf('## Point git at it'));
  const block = new RegExp(`\`\`\`${language}\\n([^]*?)\`\`\``).exec(part)?.[1];
  if (block === undefined) throw new Error(`the README has no ${language} block there`);
  return block.replaceAll('http://127.0.0.1:8080', hotpack.url);
}

/** Once through upstream, then with an upstream that gives no pack. */
async function twice(recipe: (folder: string) => Promise<void>, name: string): Promise<string> {
  await recipe(temporaryFolder('first'));
  await hotpack.mirrorHolds(`${name.startsWith('gh/') ? 'github.com' : 'gitlab.com'}${name.slice(2)}`, [
    revision(upstream.folder(name), 'main'),
  ]);
  const forbidden = upstream.forbidFetch();
  const folder = temporaryFolder('second');
  await recipe(folder);
  expect(forbidden.hits).toEqual([]);
  await assertSound(join(folder, 'app'));
  return join(folder, 'app');
}

async function headOf(clone: string): Promise<string> {
  return (await git(['rev-parse', 'HEAD'], { cwd: clone })).trim();
}

test('a public repository by the insteadOf section, pushed to the host itself', async () => {
  const app = await twice(
    async (cwd) => void (await git(['clone', '-q', 'https://github.com/you/app'], { cwd, env })),
    'gh/you/app',
  );
  expect((await git(['remote', 'get-url', '--push', 'origin'], { cwd: app, env })).trim()).toBe(
    'https://github.com/you/app',
  );
});

describe('a private repository', () => {
  beforeEach(() => {
    upstream.protect('gh/you/app', basic('x-access-token'));
    upstream.protect('gl/group/team/app', basic('gitlab-ci-token'));
  });

  test('by a header of one command, and not without it', async () => {
    const header = `http.extraHeader=Authorization: ${basic('x-access-token')}`;
    const url = `${hotpack.url}/git/github.com/you/app`;
    await twice(async (cwd) => void (await git(['-c', header, 'clone', '-q', url, 'app'], { cwd, env })), 'gh/you/app');
    expect((await tryGit(['clone', '-q', url], { cwd: temporaryFolder('refused'), env })).code).not.toBe(0);
  });

  test("by git's credential helper, which is asked for hotpack's address", async () => {
    const { host } = new URL(hotpack.url);
    const store = join(env['HOME'] as string, 'credentials');
    writeFileSync(store, `http://x-access-token:${TOKEN}@${host}\n`, { mode: 0o600 });
    await git(['config', '--global', 'credential.helper', `store --file ${store}`], { env });
    await git(['config', '--global', `credential.${hotpack.url}.username`, 'x-access-token'], { env });
    const app = await twice(
      async (cwd) => void (await git(['clone', '-q', 'https://github.com/you/app'], { cwd, env })),
      'gh/you/app',
    );
    expect(await headOf(app)).toBe(revision(upstream.folder('gh/you/app'), 'main'));
  });

  test('by what actions/checkout runs', async () => {
    const extraHeader = ['config', '--global', `http.${hotpack.url}/.extraheader`];
    await git([...extraHeader, `Authorization: ${basic('x-access-token')}`], { env });
    const tip = revision(upstream.folder('gh/you/app'), 'main');
    const app = await twice(async (folder) => {
      const cwd = join(folder, 'app');
      const local = ['config', '--local', 'http.https://github.com/.extraheader'];
      await git(['init', '-q', cwd], { env });
      await git(['remote', 'add', 'origin', 'https://github.com/you/app'], { cwd, env });
      // It reaches the host alone; hotpack is given its own above.
      await git([...local, 'AUTHORIZATION: basic never-sent-to-another-host'], { cwd, env });
      const fetch = [
        '-c',
        'protocol.version=2',
        'fetch',
        '--no-tags',
        '--prune',
        '--no-recurse-submodules',
        '--depth=1',
      ];
      await git([...fetch, 'origin', `+${tip}:refs/remotes/origin/main`], { cwd, env });
      await git(['checkout', '-q', '--force', '-B', 'main', 'refs/remotes/origin/main'], { cwd, env });
    }, 'gh/you/app');
    expect(await headOf(app)).toBe(tip);
    expect(readFileSync(join(app, '.git', 'shallow'), 'utf8').trim()).toBe(tip);
  });

  test('by what a GitLab runner runs', async () => {
    const withToken = (url: string): string => url.replace('://', `://gitlab-ci-token:${TOKEN}@`);
    const insteadOf = withToken('https://gitlab.com/');
    await git(['config', '--global', `url.${withToken(hotpack.url)}/git/gitlab.com/.insteadOf`, insteadOf], { env });
    const tip = revision(upstream.folder('gl/group/team/app'), 'main');
    const app = await twice(async (folder) => {
      const cwd = join(folder, 'app');
      await git(['init', '-q', cwd], { env });
      await git(['remote', 'add', 'origin', withToken('https://gitlab.com/group/team/app.git')], { cwd, env });
      const refspec = '+refs/heads/*:refs/remotes/origin/*';
      await git(['fetch', '-q', '--depth=20', '--prune', '--force', 'origin', refspec], { cwd, env });
      await git(['checkout', '-q', '-f', tip], { cwd, env });
    }, 'gl/group/team/app');
    expect(await headOf(app)).toBe(tip);
  });
});

describe.skipIf(!hasCargo)('cargo (skipped where there is none)', () => {
  beforeEach(() => {
    const crate = new FastImport();
    const manifest = '[package]\nname = "app"\nversion = "0.1.0"\nedition = "2021"\n';
    const changes = [
      { path: 'Cargo.toml', data: manifest },
      { path: 'src/lib.rs', data: '' },
    ];
    crate.commit({ ref: 'refs/heads/main', message: 'a crate', changes });
    const folder = temporaryFolder('crate');
    gitSync(['init', '-q', '--bare', folder]);
    crate.run(folder);
    upstream.add('gh/you/crate', folder);
  });

  test.each([
    ['its own git, which speaks v0', 'false'],
    ['the command line', 'true'],
  ])('by %s', async (_what, withCli) => {
    const fetchCrate = async (): Promise<void> => {
      const project = temporaryFolder('project');
      mkdirSync(join(project, 'src'));
      const dependency = '[dependencies]\napp = { git = "https://github.com/you/crate" }\n';
      const manifest = `[package]\nname = "user"\nversion = "0.1.0"\nedition = "2021"\n${dependency}`;
      writeFileSync(join(project, 'Cargo.toml'), manifest);
      writeFileSync(join(project, 'src', 'lib.rs'), '');
      await run('cargo', ['fetch', '--quiet'], {
        cwd: project,
        env: {
          ...process.env,
          ...gitEnvironment(),
          ...env,
          // Its tools may be found by the home that it has here.
          ...(process.env['HOME'] === undefined ? {} : { RUSTUP_HOME: `${process.env['HOME']}/.rustup` }),
          CARGO_HOME: temporaryFolder('cargo'),
          CARGO_NET_GIT_FETCH_WITH_CLI: withCli,
        },
        timeout: 50_000,
      });
    };
    await fetchCrate();
    await hotpack.mirrorHolds('github.com/you/crate', [revision(upstream.folder('gh/you/crate'), 'main')]);
    const forbidden = upstream.forbidFetch();
    await fetchCrate();
    expect(forbidden.hits).toEqual([]);
  });
});
