/** The two versions of Deno that hotpack is held to: the newest, and the one that Deno Deploy runs. */
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { temporaryFolder } from './git.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

export const DENO: string = join(root, 'node_modules/deno/deno');
export const DENO_ON_DEPLOY: string = join(root, 'node_modules/deno-2.5/deno');

/** Runs the bundle in a folder of its own, so that nothing else can be loaded. */
export function denoCommand(program: string = DENO_ON_DEPLOY): string[] {
  const folder = temporaryFolder('bundle');
  for (const name of ['deno.js', 'pack-thread.js']) copyFileSync(join(root, 'dist/adapters', name), join(folder, name));
  const flags = ['-A', '--unstable-kv', '--unstable-cron', '--no-config', '--no-remote', '--no-npm'];
  return [program, 'run', ...flags, join(folder, 'deno.js')];
}
