/** The servers: `git http-backend` behind a small one, the built hotpack in front of it, and a bare one over files. */
import { createInterface } from 'node:readline';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { RunOptions, Started, Workplace } from './workplace.ts';

/** The built adapter; another build can be measured by naming it. */
const ENTRY = process.env['HOTPACK_TEST_ENTRY'] ?? join(import.meta.dirname, '..', '..', 'dist', 'adapters', 'node.js');

const CHILDREN = join(import.meta.dirname, '../children');

export interface RunningServer {
  readonly child: Started;
  readonly pid: number;
  /** Of the repository. */
  readonly url: string;
}

/** Serves the bare repository at `folder`. git is a child of its process and is counted by itself. */
export async function startGitServer(place: Workplace, folder: string): Promise<RunningServer & { base: string }> {
  const child = place.start(process.execPath, [join(CHILDREN, 'upstream.ts'), folder], {
    // The folders that it makes for itself end with ours.
    env: { ...definedEnvironment(), TMPDIR: place.folder },
  });
  const base = await firstLine(child, /^(http:\S+)$/);
  return { child, pid: child.pid ?? 0, base, url: `${base}/repository.git` };
}

export interface HotpackOptions extends Pick<RunOptions, 'processors'> {
  /** Settings beside these. */
  readonly env?: Readonly<Record<string, string>>;
  /** Of the upstream. */
  readonly base: string;
  /** A folder. */
  readonly storage: string;
}

/** hotpack as it was built, in front of one upstream. */
export async function startHotpackServer(place: Workplace, options: HotpackOptions): Promise<RunningServer> {
  const { base, storage, env = {}, processors } = options;
  const child = place.start(process.execPath, [ENTRY], {
    processors,
    env: {
      PATH: '',
      PORT: '0',
      HOST: '127.0.0.1',
      HOTPACK_UPSTREAMS: `bench=${base}`,
      HOTPACK_STORAGE: `fs:${storage}`,
      HOTPACK_LOG_LEVEL: 'error',
      ...env,
    },
  });
  const url = await firstLine(child, /hotpack listening on (http:\S+)/);
  return { child, pid: child.pid ?? 0, url: `${url}/git/bench/repository.git` };
}

/** A bare server that answers GET with the file `0` of the folder, POST with the last one. */
export async function startLimitServer(place: Workplace, folder: string): Promise<RunningServer> {
  const files = readdirSync(folder).toSorted();
  const [forGet, forPost] = [files[0], files.at(-1)].map((name) => join(folder, name ?? ''));
  const child = place.start(process.execPath, [join(CHILDREN, 'limit.ts'), forGet ?? '', forPost ?? '']);
  return { child, pid: child.pid ?? 0, url: await firstLine(child, /^(http:\S+)$/) };
}

/** Where the mirror's refs appear once it is filled. */
export function heldRefsFile(storage: string): string {
  return join(storage, 'mirrors/bench/repository.git/packed-refs');
}

function definedEnvironment(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}

async function firstLine(child: Started, pattern: RegExp): Promise<string> {
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString('utf8')));
  for await (const line of createInterface({ input: child.stdout })) {
    const found = pattern.exec(line)?.[1];
    if (found === undefined) continue;
    child.stdout.resume();
    return found;
  }
  throw new Error(`a server ended before it listened\n${errors}`);
}
