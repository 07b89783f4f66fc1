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
  readonly head: string;
  /** Sorted commits of the shallow file. */
  readonly shallow: readonly string[];
  /** `<oid> <type>` of every object in the database, sorted. */
  readonly objects: readonly string[];
  /** Sorted commits that the refs and HEAD reach. */
  readonly commits: readonly string[];
  /** Files of the work tree as git sees them: `git status` lines, empty where all is as committed. */
  readonly status: readonly string[];
}

const offline = { GIT_NO_LAZY_FETCH: '1', GIT_ALLOW_PROTOCOL: 'none' };

function rows(text: string): string[] {
  return text.split('\n').filter((line) => line !== '');
}

/** Reads the state of the repository at `folder` (bare or with a work tree) and asserts that `git fsck --strict` passes. */
export async function readClone(folder: string): Promise<CloneState> {
  const options = { cwd: folder, env: offline };
  const [gitFolder, refs, head, objects, fsck] = await Promise.all([
    git(['rev-parse', '--absolute-git-dir'], options),
    git(['for-each-ref', '--format=%(refname) %(objectname) %(symref)'], options),
    tryGit(['symbolic-ref', '-q', 'HEAD'], options),
    git(['cat-file', '--batch-all-objects', '--batch-check=%(objectname) %(objecttype)', '--unordered'], options),
    tryGit(['fsck', '--strict', '--no-dangling', '--no-progress'], options),
  ]);
  if (fsck.code !== 0) throw new Error(`git fsck --strict fails in ${folder}: ${fsck.stderr}${fsck.stdout}`);
  const detached = head.code === 0 ? head.stdout.trim() : (await tryGit(['rev-parse', 'HEAD'], options)).stdout.trim();
  const revisions = ['rev-list', '--all'];
  if ((await tryGit(['rev-parse', '-q', '--verify', 'HEAD^{commit}'], options)).code === 0) revisions.push('HEAD');
  const commits = await git(revisions, options);
  const shallowFile = join(gitFolder.trim(), 'shallow');
  const bare = (await git(['rev-parse', '--is-bare-repository'], options)).trim() === 'true';
  return {
    refs: rows(refs)
      .map((line) => line.trim())
      .sort(),
    head: detached,
    shallow: existsSync(shallowFile) ? rows(readFileSync(shallowFile, 'utf8')).sort() : [],
    objects: rows(objects).sort(),
    commits: rows(commits).sort(),
    status: bare ? [] : rows(await git(['status', '--porcelain', '--ignore-submodules=all'], options)),
  };
}

/** How many objects of `type` a clone holds. */
export function countObjects(state: CloneState, type: 'commit' | 'tree' | 'blob' | 'tag'): number {
  return state.objects.filter((line) => line.endsWith(` ${type}`)).length;
}
