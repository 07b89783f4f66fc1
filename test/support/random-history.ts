/**
 * Generated repositories whose histories have every shape that a walk must get right: merges and octopus
 * merges, several roots, reverts, renames, equal subtrees, submodules, tags of tags, of trees and of blobs,
 * and, where asked for, clocks that are wrong. The same seed makes the same objects.
 */
import { join } from 'node:path';
import { FastImport, type FileChange } from './fast-import.ts';
import { gitSync, temporaryFolder } from './git.ts';

/** Numbers from 0 to below 1, the same for the same seed (mulberry32's recurrence is public domain). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export interface RandomHistory {
  readonly folder: string;
  readonly commits: readonly string[];
  /** Refs under refs/tags that are annotated, with what they finally name. */
  readonly tags: readonly { readonly tag: string; readonly peeled: string }[];
}

export function makeRandomHistory(options: {
  readonly seed: number;
  readonly commits: number;
  readonly skewedClocks: boolean;
}): RandomHistory {
  const random = seededRandom(options.seed);
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;
  const folder = join(temporaryFolder('history'), `${options.seed}.git`);
  gitSync(['init', '-q', '--bare', folder]);
  const stream = new FastImport();
  const folders = ['', 'a/', 'a/b/', 'a/b/c/', 'd/', 'd/b/', 'e-e/'];
  const marks: string[] = [];
  const filesOf = new Map<string, Set<string>>();
  for (let n = 0; n < options.commits; n++) {
    const root = n === 0 || random() < 0.03;
    const recent = marks.slice(-12);
    const from = root ? undefined : pick(recent);
    const merge: string[] = [];
    if (!root && random() < 0.3) {
      for (let more = random() < 0.3 ? 3 : 1; more > 0; more--) {
        const other = pick(recent);
        if (other !== from && !merge.includes(other)) merge.push(other);
      }
    }
    const files = new Set(from === undefined ? [] : filesOf.get(from));
    const changes: FileChange[] = [];
    for (let count = Math.floor(random() * 3) + (root ? 3 : 0); count > 0; count--) {
      const what = random();
      const known = [...files];
      if (what < 0.12 && known.length > 3) {
        const path = pick(known);
        files.delete(path);
        changes.push({ path, deleted: true });
      } else if (what < 0.22 && known.length > 3) {
        const renamedFrom = pick(known);
        const path = `${pick(folders)}moved${Math.floor(random() * 4)}`;
        if (files.has(path)) continue;
        files.delete(renamedFrom);
        files.add(path);
        changes.push({ path, renamedFrom });
      } else if (what < 0.27) {
        changes.push({ path: 'module', gitlink: '1234567890'.repeat(4) });
      } else {
        // Few names and few contents, so that contents come back and subtrees are equal.
        const path = `${pick(folders)}f${Math.floor(random() * 5)}.${pick(['c', 'h', 'txt'])}`;
        const line = `content ${Math.floor(random() * 25)}\n`;
        files.add(path);
        changes.push({ path, data: line.repeat(1 + Math.floor(random() * 40)) });
      }
    }
    const at = options.skewedClocks ? 1_600_000_000 + Math.floor(random() * 5000) : 1_600_000_000 + 60 * n;
    const mark = stream.commit({
      ref: root ? `refs/heads/root${n}` : 'refs/heads/work',
      message: `commit ${n}`,
      changes,
      merge,
      at,
      ...(from === undefined ? {} : { from }),
    });
    filesOf.set(mark, files);
    marks.push(mark);
    if (random() < 0.15) stream.reset(`refs/heads/side${n}`, mark);
    if (random() < 0.12) {
      const tag = stream.tag(`v${n}`, mark, `tag ${n}`);
      if (random() < 0.4) stream.tag(`nested${n}`, tag, `tag of tag ${n}`);
    }
  }
  // Every commit stays reachable.
  for (const [n, mark] of marks.entries()) stream.reset(`refs/keep/${n}`, mark);
  stream.run(folder);
  const git = (...args: string[]): string => gitSync(args, { cwd: folder }).toString().trim();
  const nameOf = new Map(
    git('for-each-ref', '--format=%(refname) %(objectname)', 'refs/keep')
      .split('\n')
      .map((line) => line.split(' ') as [string, string]),
  );
  const commits = marks.map((_, n) => nameOf.get(`refs/keep/${n}`) as string);
  const last = commits.at(-1) as string;
  git('tag', '-a', '-m', 'a tree', 'of-tree', `${last}^{tree}`);
  const blob = git('ls-tree', '-r', last)
    .split('\n')
    .find((line) => line.includes(' blob '));
  git('tag', '-a', '-m', 'a blob', 'of-blob', (blob as string).split(/\s+/)[2] as string);
  git('tag', '-a', '-m', 'a tag of a tree', 'of-tag-of-tree', 'of-tree');
  git('config', 'uploadpack.allowFilter', 'true');
  git('repack', '-adq');
  const tagNames = git('for-each-ref', '--format=%(objecttype) %(objectname)', 'refs/tags')
    .split('\n')
    .filter((line) => line.startsWith('tag '))
    .map((line) => line.slice(4));
  const peeled = git('rev-parse', ...tagNames.map((tag) => `${tag}^{}`)).split('\n');
  const tags = tagNames.map((tag, index) => ({ tag, peeled: peeled[index] as string }));
  return { folder, commits, tags };
}
