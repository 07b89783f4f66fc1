/** What clients ask: v2 `fetch` requests in bytes, made from the repository's own refs and history. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import type { Question } from '../children/reading-client.ts';
import type { Stage } from './stage.ts';

export type ShapeName = 'full' | 'depth-1' | 'blobless' | 'twenty-commits';

const DELIMITER = '0001';
const FLUSH = '0000';
const FETCHED_COMMITS = 20;

/** How a shape is asked for; `back`: not for what the branch shows, but for so many commits before (of no use to `full`). */
export function questionOf(stage: Stage, shape: ShapeName, back = 0): Question {
  const body = stage.place.path(`question-${shape}`);
  writeFileSync(body, writeFetch(argumentsOf(stage.repository, shape, back)));
  return { method: 'POST', path: 'git-upload-pack', body, hasPack: true };
}

/** A v2 `ls-refs` for everything. */
export const ASK_FOR_REFS: string = lines(['command=ls-refs', DELIMITER, 'peel', 'symrefs', FLUSH]);

/** `GET info/refs`, then `ls-refs` for everything. */
export function refsQuestions(stage: Stage): readonly Question[] {
  const body = stage.place.path('question-refs');
  writeFileSync(body, ASK_FOR_REFS);
  return [
    { method: 'GET', path: 'info/refs?service=git-upload-pack', hasPack: false },
    { method: 'POST', path: 'git-upload-pack', body, hasPack: false },
  ];
}

function argumentsOf(repository: string, shape: ShapeName, back: number): readonly string[] {
  const commit = (behind: number): string => git(repository, 'rev-parse', `HEAD~${back + behind}`);
  switch (shape) {
    case 'full':
      return allTips(repository).map((oid) => `want ${oid}`);
    case 'depth-1':
      return [`want ${commit(0)}`, 'deepen 1'];
    case 'blobless':
      return [...(back === 0 ? allTips(repository) : [commit(0)]).map((oid) => `want ${oid}`), 'filter blob:none'];
    case 'twenty-commits': {
      const haves = [0, 1, 2, 3, 5, 8, 13].map((more) => `have ${commit(FETCHED_COMMITS + more)}`);
      return ['thin-pack', `want ${commit(0)}`, ...haves];
    }
  }
}

/** What a clone wants: branches, tags and HEAD. */
function allTips(repository: string): readonly string[] {
  const refs = git(repository, 'for-each-ref', '--format=%(objectname)', 'refs/heads', 'refs/tags');
  return [...new Set([git(repository, 'rev-parse', 'HEAD'), ...refs.split('\n').filter((oid) => oid !== '')])];
}

/** A v2 `fetch` that ends the negotiation. */
export function writeFetch(args: readonly string[]): string {
  return lines(['command=fetch', DELIMITER, 'ofs-delta', 'no-progress', ...args, 'done', FLUSH]);
}

function lines(all: readonly string[]): string {
  return all
    .map((line) =>
      line === FLUSH || line === DELIMITER ? line : `${(line.length + 5).toString(16).padStart(4, '0')}${line}\n`,
    )
    .join('');
}

function git(repository: string, ...args: readonly string[]): string {
  return execFileSync('git', ['-C', repository, ...args], { encoding: 'utf8', maxBuffer: 2 ** 28 }).trim();
}
