/**
 * What a client ended up with, in a form that two clones can be compared by: refs, HEAD, shallow boundary and the
 * set of objects that are really in the object database (nothing is fetched to find out).
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { git, tryGit } from './git.ts';

export interface CloneState {
  /** `<name> <oid> <symref target>` lines, sorted. */
  readonly refs: readonly string[];
  /** The HEAD file: `ref: …` or an object id. */
  readonly head: string;
  /** Sorted commits of the shallow file. */
  readonly shallow: readonly string[];
  /** `<type> <oid>` of every object in the database, sorted: commits first among those with history. */
  readonly objects: readonly string[];
  /** Whether a work tree was checked out. */
  readonly checkedOut: boolean;
}

const offline = { GIT_NO_LAZY_FETCH: '1', GIT_ALLOW_PROTOCOL: 'none' };

function rows(text: string): string[] {
  return text.split('\n').filter((line) => line !== '');
}

/** Reads the state of the repository at `folder`, bare or with a work tree. */
export async function readClone(folder: string): Promise<CloneState> {
  const gitFolder = existsSync(join(folder, '.git')) ? join(folder, '.git') : folder;
  const options = { cwd: folder, env: offline };
  const format = '--batch-check=%(objecttype) %(objectname)';
  const [refs, objects] = await Promise.all([
    git(['for-each-ref', '--format=%(refname) %(objectname) %(symref)'], options),
    git(['cat-file', '--batch-all-objects', format, '--unordered'], options),
  ]);
  const shallowFile = join(gitFolder, 'shallow');
  return {
    refs: rows(refs)
      .map((line) => line.trim())
      .sort(),
    head: readFileSync(join(gitFolder, 'HEAD'), 'utf8').trim(),
    shallow: existsSync(shallowFile) ? rows(readFileSync(shallowFile, 'utf8')).sort() : [],
    objects: rows(objects).sort(),
    checkedOut: existsSync(join(gitFolder, 'index')),
  };
}

/** Throws with git's words unless `git fsck --strict` passes; nothing is fetched for it. */
export async function assertSound(folder: string): Promise<void> {
  const fsck = await tryGit(['fsck', '--strict', '--no-dangling', '--no-progress'], {
    cwd: folder,
    env: offline,
  });
  if (fsck.code !== 0) {
    throw new Error(`git fsck --strict fails in ${folder}: ${fsck.stderr}${fsck.stdout}`);
  }
}

/** How many objects of `type` a clone holds. */
export function countObjects(state: CloneState, type: 'commit' | 'tree' | 'blob' | 'tag'): number {
  return state.objects.filter((line) => line.startsWith(`${type} `)).length;
}
