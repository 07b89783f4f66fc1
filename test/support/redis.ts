/** A real Redis for tests, on a port of its own, keeping nothing. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { temporaryFolder } from './git.ts';

const hasRedis = spawnSync('redis-server', ['--version']).status === 0;
/** Where CI is required to have it, its absence fails. */
const isRequired = process.env['HOTPACK_REQUIRE_REDIS'] === '1';

/** Empty, or why tests of Redis are skipped: to be part of their names. */
export const withoutRedis: string = hasRedis || isRequired ? '' : ': skipped, redis-server is not installed';

export interface Redis {
  readonly port: number;
  readonly stop: () => void;
  /** As a machine that goes away: whatever it held is lost. */
  readonly kill9: () => Promise<void>;
}

/** `port`: where another one was before; default: any. */
export async function startRedis(port?: number): Promise<Redis> {
  return startRedisAt(port ?? (await freePort()));
}

async function startRedisAt(port: number): Promise<Redis> {
  const folder = temporaryFolder('redis');
  const server = spawn('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', folder], {
    stdio: 'pipe',
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.stdout.on('data', (chunk: Buffer) => {
      if (chunk.toString('utf8').includes('Ready to accept connections')) resolve();
    });
  });
  return {
    port,
    stop: () => void server.kill(),
    async kill9() {
      server.kill('SIGKILL');
      await once(server, 'exit');
    },
  };
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}
