/** How the server process starts and ends: its lines, its exit codes, its signals. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { git, temporaryFolder } from '../support/git.ts';
import { startHotpack } from '../support/hotpack.ts';
import { richRepository } from '../support/repositories.ts';
import { startUpstream } from '../support/upstream.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const node = join(root, 'node_modules/node/bin/node');

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs to the end; for starts that must fail. */
async function run(args: readonly string[], env: Readonly<Record<string, string>>, cwd?: string): Promise<Ended> {
  const child = spawn(node, args, {
    cwd: cwd ?? temporaryFolder('cwd'),
    env: { PATH: '/nonexistent', PORT: '0', HOTPACK_STORAGE: 'memory:', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString('utf8')));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString('utf8')));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, stderr };
}

const server = join(root, 'dist/adapters/node.js');

test('a wrong setting ends the start with 2 and one line', async () => {
  const { code, stdout, stderr } = await run([server], { HOTPACK_REF_CHECK_INTERVAL: 'soon' });
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toMatch(/^HOTPACK_REF_CHECK_INTERVAL: "soon" is not a duration [^\n]+\n$/);
});

test('the command line knows serve, which reads the same settings', async () => {
  const cli = join(root, 'dist/cli.js');
  expect(await run([cli, 'serve'], { PORT: 'x' })).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/^PORT: "x" /),
  });
  const help = await run([cli, '--help'], {});
  expect(help.stdout + help.stderr).toContain('serve');
});

test('a port that is taken, and a folder that cannot be used, end the start with 1 and a JSON line', async () => {
  const hotpack = await startHotpack({ upstreams: { up: 'http://127.0.0.1:1' } });
  const taken = await run([server], { PORT: new URL(hotpack.url).port });
  const unusable = await run([server], { HOTPACK_STORAGE: 'fs:/dev/null/x' });
  for (const { code, stdout, stderr } of [taken, unusable]) {
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(JSON.parse(stderr)).toMatchObject({ level: 'error', event: 'crashed' });
  }
  expect(await hotpack.stop()).toBe(0);
});

test('a setting that means nothing is a warning', async () => {
  const hotpack = await startHotpack({ upstreams: { up: 'http://127.0.0.1:1' }, env: { HOTPACK_MISSPELT: '1' } });
  expect(hotpack.log).toContainEqual(
    expect.objectContaining({ level: 'warn', event: 'setting_unknown', name: 'HOTPACK_MISSPELT' }),
  );
  expect(hotpack.stdout).toMatch(/^hotpack listening on http:\/\/127\.0\.0\.1:\d+\n$/);
  await hotpack.stop();
});

test('a folder is relative to the working directory', async () => {
  const cwd = temporaryFolder('cwd');
  const child = spawn(node, [server], {
    cwd,
    env: { PATH: '/nonexistent', PORT: '0', HOTPACK_STORAGE: 'fs:here' },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  await once(child.stdout, 'data');
  child.kill('SIGINT');
  const [code] = (await once(child, 'exit')) as [number];
  expect(code).toBe(0);
  expect(existsSync(join(cwd, 'here'))).toBe(true);
});

/** A hotpack with a clone under way that upstream holds in the middle. */
async function openHeld(shutdownTimeout: string): Promise<{
  readonly clone: Promise<'cloned' | 'failed'>;
  readonly release: () => void;
  readonly hotpack: Awaited<ReturnType<typeof startHotpack>>;
  readonly close: () => Promise<void>;
}> {
  const upstream = await startUpstream();
  upstream.add('up/a/b', richRepository());
  const rule = upstream.when({ kind: 'fetch' }, { do: 'stall', afterBytes: 5_000 });
  const env = { HOTPACK_SHUTDOWN_TIMEOUT: shutdownTimeout };
  const hotpack = await startHotpack({ upstreams: { up: upstream.base('up') }, env });
  const target = join(temporaryFolder('clone'), 'c');
  const clone = git(['clone', '-q', hotpack.repository('up/a/b'), target]).then(
    () => 'cloned' as const,
    () => 'failed' as const,
  );
  await rule.arrived();
  const release = (): void => rule.release();
  return { clone, hotpack, release, close: () => (release(), upstream.stop()) };
}

test('a signal lets running requests end, and takes no new connection', async () => {
  const { clone, hotpack, release, close } = await openHeld('20s');
  const ended = hotpack.stop();
  await expect.poll(() => accepts(hotpack.url), { timeout: 10_000 }).toBe(false);
  release();
  expect(await clone).toBe('cloned');
  expect(await ended).toBe(0);
  await close();
});

test('what does not end within the shutdown timeout is cut', async () => {
  const { clone, hotpack, close } = await openHeld('100ms');
  expect(await hotpack.stop()).toBe(0);
  expect(await clone).toBe('failed');
  await close();
});

test('a second signal ends at once', async () => {
  const { clone, hotpack, close } = await openHeld('1h');
  const { pid } = hotpack;
  const ended = hotpack.stop();
  await expect.poll(() => accepts(hotpack.url), { timeout: 10_000 }).toBe(false);
  process.kill(pid, 'SIGTERM');
  expect(await ended).toBe(0);
  expect(await clone).toBe('failed');
  await close();
});

/** Whether a new connection is taken. */
async function accepts(url: string): Promise<boolean> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
