/**
 * `info/refs` and then `ls-refs` for everything, of a repository with 10,000 refs, by a client whose access is known: as often as
 * it is asked, by a process that runs.
 */
import { execFileSync } from 'node:child_process';
import type { Row, Sample } from '../support/row.ts';
import { refsQuestions } from '../support/shapes.ts';
import { askGit, recordAnswers, withHotpack, withLimit, type Ask } from '../support/sides.ts';
import { filledStage, stageOf, type Stage } from '../support/stage.ts';

const REFS = 10_000;
/** As other rows ask for small answers: until what is compiled on the way no longer shows. */
const TIMES = 1_000;
/** git starts anew each time: nothing warms up. */
const TIMES_OF_GIT = 50;
/** Nothing of upstream's is asked for again while it is measured. */
const KNOWN = { HOTPACK_REF_CHECK_INTERVAL: '1h', HOTPACK_ACCESS_TTL: '1h' };

export async function refsRow(bare: Stage): Promise<Row> {
  const { place } = bare;
  const repository = place.path('repository');
  await place.run('git', ['clone', '-q', '--mirror', bare.repository, repository]);
  addRefs(repository);
  const stage = await filledStage(await stageOf(place, repository));
  const questions = refsQuestions(stage);
  const recorded = await recordAnswers(stage, questions, false);
  const ofAll = async (ask: Ask, times = TIMES): Promise<readonly Sample[]> => {
    await ask(questions);
    return [await ask(questions, { times })];
  };
  return {
    parts: [`${REFS} refs`],
    contestants: [
      { name: 'hotpack', run: () => withHotpack(stage, (ask) => ofAll(ask), KNOWN) },
      { name: 'git (its processes alone)', run: () => ofAll(askGit(stage), TIMES_OF_GIT) },
      { name: 'the limit', run: () => withLimit(stage, recorded, (ask) => ofAll(ask)) },
    ],
    goals: [{ part: 0, what: 'cpuMs', atMost: 0.1, against: 1 }],
  };
}

/** Branches and tags on commits of the history, nine branches to a tag. */
function addRefs(repository: string): void {
  const git = (args: readonly string[], input = ''): string =>
    execFileSync('git', ['-C', repository, ...args], { encoding: 'utf8', input, maxBuffer: 2 ** 28 });
  const commits = git(['rev-list', `--max-count=${REFS}`, 'HEAD'])
    .trim()
    .split('\n');
  const lines = Array.from({ length: REFS }, (_, n) => {
    const name = n % 10 === 0 ? `refs/tags/bench-${n}` : `refs/heads/bench/branch-${n}`;
    return `create ${name} ${commits[n % commits.length]}\n`;
  });
  git(['update-ref', '--stdin'], lines.join(''));
  git(['pack-refs', '--all']);
}
