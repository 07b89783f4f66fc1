/** Repositories made by `git fast-import` from a seed and kept in a cache folder. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Commits: `middle` has some 120,000 objects in 80 MB, `large` 400,000 in 300 MB, `small` 6,000. */
export const SEEDS = { small: 1_000, middle: 19_000, large: 63_000 } as const;
export type SeedName = keyof typeof SEEDS;

const FOLDERS = 40;
const FILES = 60;
const WORDS = 4000;

export async function seededRepository(seed: SeedName): Promise<string> {
  const commits = SEEDS[seed];
  const cache = join(tmpdir(), 'hotpack-bench-cache');
  const folder = join(cache, `seed-2-${commits}.git`);
  if (existsSync(folder)) return folder;
  const making = `${folder}.${process.pid}`;
  mkdirSync(cache, { recursive: true });
  execFileSync('git', ['init', '-q', '--bare', '-b', 'main', making]);
  try {
    const git = spawn('git', ['-C', making, 'fast-import', '--quiet', '--depth=50'], {
      stdio: ['pipe', 'ignore', 'inherit'],
    });
    const ended = once(git, 'close');
    for (const piece of history(commits)) {
      if (!git.stdin.write(piece)) await once(git.stdin, 'drain');
    }
    git.stdin.end();
    const [code] = (await ended) as [number];
    if (code !== 0) throw new Error(`git fast-import ended with ${code}`);
    // Looks for deltas anew: fast-import's own leave most files whole, which no server's history does.
    execFileSync('git', ['-C', making, 'repack', '-adfq', '--depth=50', '--window=10']);
    renameSync(making, folder);
  } finally {
    rmSync(making, { recursive: true, force: true });
  }
  return folder;
}

/** Files of words that change in a line or two per commit, a few commits in a hundred with a file of noise. */
function* history(commits: number): Generator<string | Buffer, void> {
  const random = seeded(1);
  const below = (n: number): number => Math.floor(random() * n);
  const words = Array.from({ length: WORDS }, () => Math.floor(random() * 2 ** 40).toString(36));
  const line = (): string => Array.from({ length: 4 + below(8) }, () => words[below(WORDS)]).join(' ');
  const files = new Map<string, string[]>();
  for (let n = 0; n < commits; n++) {
    const message = `change ${n}: ${line()}\n`;
    yield `commit refs/heads/main\ncommitter A <a@example.com> ${1_500_000_000 + n * 600} +0000\ndata ${message.length}\n${message}`;
    for (let change = 1 + below(2); change > 0; change--) {
      const path = `part-${below(FOLDERS)}/module/file-${below(FILES)}.txt`;
      const content = files.get(path) ?? Array.from({ length: 40 + below(260) }, line);
      for (let edit = 1 + below(4); edit > 0; edit--) content[below(content.length)] = line();
      files.set(path, content);
      const data = `${content.join('\n')}\n`;
      yield `M 100644 inline ${path}\ndata ${data.length}\n${data}\n`;
    }
    if (below(100) < 3) {
      const noise = Buffer.from(Array.from({ length: 60_000 + below(30_000) }, () => below(256)));
      yield `M 100644 inline assets/${below(500)}.bin\ndata ${noise.length}\n`;
      yield noise;
      yield '\n';
    }
  }
}

function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
