import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const INPUTS = ['src', 'adapters', 'tsup.config.ts', 'package.json'];

function newestMs(path: string): number {
  const info = statSync(path);
  if (!info.isDirectory()) return info.mtimeMs;
  return Math.max(info.mtimeMs, ...readdirSync(path).map((name) => newestMs(join(path, name))));
}

/** Builds `dist` where it is missing or older than what it is made from. vitest calls it before tests, `npm start` runs it. */
export default function buildOnce(): void {
  const built = join(ROOT, 'dist', 'adapters', 'node.js');
  const builtMs = existsSync(built) ? statSync(built).mtimeMs : 0;
  if (builtMs > Math.max(...INPUTS.map((input) => newestMs(join(ROOT, input))))) return;
  execFileSync('npm', ['run', '--silent', 'build:js'], { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] });
}

if (import.meta.main) buildOnce();
