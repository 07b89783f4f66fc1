/** Each runtime's bundle serves a cold clone to real git with nothing but the bundle, and nothing installed beside it. */
import { spawn } from 'node:child_process';
import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Miniflare } from 'miniflare';
import { expect, test } from 'vitest';
import { assertSound, readClone } from '../support/clones.ts';
import { DENO, DENO_ON_DEPLOY } from '../support/deno.ts';
import { git, temporaryFolder } from '../support/git.ts';
import { richRepository } from '../support/repositories.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const bundles = join(root, 'dist', 'adapters');

interface Runtime {
  readonly url: string;
  /** Resolves with the exit code where there is a process. */
  stop(): Promise<number>;
}

/** A bundle alone in a folder, so that nothing beside it can be loaded. */
function alone(name: string): string {
  const path = join(temporaryFolder('bundle'), `${name}.mjs`);
  copyFileSync(join(bundles, `${name}.js`), path);
  return path;
}

async function startProcess(command: string, args: readonly string[], env: Record<string, string>): Promise<Runtime> {
  const child = spawn(command, args, {
    cwd: temporaryFolder('cwd'),
    env: { PATH: '/nonexistent', HOME: temporaryFolder('home'), PORT: '0', HOTPACK_STORAGE: 'memory:', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const ended = new Promise<number>((resolve) => child.once('exit', (code) => resolve(code ?? -1)));
  const url = await new Promise<string>((resolve, reject) => {
    const onData = (chunk: Buffer): void => {
      output += chunk.toString('utf8');
      const found = /istening on\D* (http:\/\/\S+?)\/?(?: .*)?\n/.exec(output)?.[1];
      if (found !== undefined) resolve(found);
    };
    child.stdout.on('data', onData);
    child.stderr.on('data', onData);
    void ended.then((code) => reject(new Error(`ended with ${code}: ${output}`)));
  });
  return {
    url,
    stop() {
      child.kill('SIGTERM');
      return ended;
    },
  };
}

async function startWorkerd(env: Record<string, string>): Promise<Runtime> {
  const path = alone('cloudflare');
  const worker = new Miniflare({
    modules: [{ type: 'ESModule', path, contents: readFileSync(path, 'utf8') }],
    modulesRoot: '/',
    host: '127.0.0.1',
    port: 0,
    compatibilityDate: '2026-07-01',
    compatibilityFlags: ['nodejs_compat', 'enable_request_signal'],
    bindings: env,
  });
  const url = (await worker.ready).href.replace(/\/$/, '');
  return { url, stop: () => worker.dispose().then(() => 0) };
}

const DENO_FLAGS = ['-A', '--no-config', '--no-remote', '--no-npm'];
const RUNTIMES: Readonly<Record<string, (env: Record<string, string>) => Promise<Runtime>>> = {
  node: (env) => startProcess(join(root, 'node_modules/node/bin/node'), [alone('node')], env),
  workerd: startWorkerd,
  deno: (env) => startProcess(DENO, ['run', ...DENO_FLAGS, alone('deno')], env),
  'deno serve': (env) =>
    startProcess(DENO_ON_DEPLOY, ['serve', '--host=127.0.0.1', '--port=0', ...DENO_FLAGS, alone('deno-serve')], env),
};

for (const [name, start] of Object.entries(RUNTIMES)) {
  test(`${name} serves clones, cold, again and at once, and its probes`, async () => {
    const upstream: Upstream = await startUpstream();
    const direct = join(temporaryFolder('direct'), 'clone');
    const cloned = join(temporaryFolder('through'), 'clone');
    upstream.add('up/team/small', richRepository());
    const runtime = await start({ HOTPACK_UPSTREAMS: `up=${upstream.base('up')}` });
    try {
      await git(['clone', '-q', upstream.url('up/team/small'), direct]);
      await git(['clone', '-q', `${runtime.url}/git/up/team/small.git`, cloned]);
      await assertSound(cloned);
      expect(await readClone(cloned)).toEqual(await readClone(direct));
      const others = ['0', '1', '2', '2'];
      const clones = await Promise.all(
        others.map(async (version) => {
          const other = join(temporaryFolder('another'), 'clone');
          await git([
            '-c',
            `protocol.version=${version}`,
            'clone',
            '-q',
            `${runtime.url}/git/up/team/small.git`,
            other,
          ]);
          return readClone(other);
        }),
      );
      for (const other of clones) expect(other).toEqual(await readClone(direct));
      expect((await fetch(`${runtime.url}/_liveness`)).status).toBe(200);
      expect(await (await fetch(`${runtime.url}/_readiness`)).json()).toEqual({ ready: true });
      expect(await (await fetch(`${runtime.url}/metrics`)).text()).toMatch(/^hotpack_requests_total\{.*\} \d+$/m);
    } finally {
      expect(await runtime.stop()).toBe(0);
      await upstream.stop();
    }
  });
}
