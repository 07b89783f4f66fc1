/** `Kv` over Deno's own store: the driver runs in a real Deno beside the test (serve.ts), and is asked for each call. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { HotpackError, type ErrorCode } from '../../../src/bytes/error.ts';
import type { Kv } from '../../../src/storage/kv/contract.ts';
import { temporaryFolder } from '../git.ts';
import type { KvCall } from './serve.ts';

interface KvAnswer {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: { readonly code?: ErrorCode; readonly message: string; readonly detail?: Record<string, unknown> };
}

/** `deno`: the binary. `path`: the database's file. The process ends with `Kv.close` and a `stop`. */
export function openKvInDeno(deno: string, path: string): { readonly kv: Kv; stop(): Promise<void> } {
  const flags = ['-A', '--unstable-kv', '--no-config', '--no-lock', '--node-modules-dir=none'];
  const child = spawn(deno, ['run', ...flags, fileURLToPath(new URL('./serve.ts', import.meta.url)), path], {
    env: { PATH: '/nonexistent', HOME: temporaryFolder('home'), NO_COLOR: '1' },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString('utf8')));
  const waiting = new Map<number, (answer: KvAnswer) => void>();
  let calls = 0;
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  void ended.then(() => {
    for (const [id, settle] of waiting) settle({ id, error: { message: `Deno ended: ${errors}` } });
  });
  createInterface({ input: child.stdout }).on('line', (line) => {
    const answer = JSON.parse(line) as KvAnswer;
    waiting.get(answer.id)?.(answer);
  });

  async function ask<T>(call: KvCall['call'], args: readonly unknown[], signal?: AbortSignal): Promise<T> {
    const id = ++calls;
    const request: KvCall = { id, call, args, isAborted: signal?.aborted === true };
    const { result, error } = await new Promise<KvAnswer>((resolve) => {
      waiting.set(id, resolve);
      child.stdin.write(`${JSON.stringify(request)}\n`);
    });
    waiting.delete(id);
    if (error === undefined) return result as T;
    if (error.code === undefined) throw new Error(error.message);
    throw new HotpackError(error.code, error.message, { detail: error.detail ?? {} });
  }

  const kv: Kv = {
    get: (key, signal) => ask('get', [key], signal),
    getMany: (keys, signal) => ask('getMany', [keys], signal),
    set: (key, text, signal) => ask('set', [key, text], signal),
    delete: (key, signal) => ask('delete', [key], signal),
    async *list(prefix, signal) {
      yield* await ask<string[]>('list', [prefix], signal);
    },
    close: () => ask('close', []),
  };
  return {
    kv,
    async stop() {
      child.stdin.end();
      child.kill();
      await ended;
    },
  };
}
