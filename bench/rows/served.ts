/**
 * One shape of fetch from a mirror at rest, by a client that only reads: hotpack, `git http-backend` on the same history repacked
 * with bitmaps, and the limit, which streams hotpack's own answer from a file.
 *
 * Parts: the very first question after the start; other commits in the same shape, each asked for the first time, by a process
 * that runs; and the same question again and again.
 */
import type { Goal, Row, Sample } from '../support/row.ts';
import type { ShapeName } from '../support/shapes.ts';
import { questionOf } from '../support/shapes.ts';
import { askGit, recordAnswers, withHotpack, withLimit, type Ask } from '../support/sides.ts';
import { filledStage, type FilledStage, type Stage } from '../support/stage.ts';

const FIRST = 0;
const GIT = 1;
const LIMIT = 2;
/** Commits that are each asked for once. */
const OTHERS = 4;
/** So many bytes in all for the last part, within bounds. */
const AGAIN_BYTES = 400e6;
const MIN_TIMES = 5;
const MAX_TIMES = 1_000;
/** git starts anew each time: nothing warms up. */
const MAX_TIMES_OF_GIT = 50;

/** `prepare`: what becomes of a stage before it is measured. */
export function servedRow(
  shape: ShapeName,
  prepare: (stage: Stage) => Promise<FilledStage> = filledStage,
): (stage: Stage) => Promise<Row> {
  return async (bare) => {
    const stage = await prepare(bare);
    const question = questionOf(stage, shape);
    // A clone of everything is a clone of everything.
    const others = Array.from({ length: shape === 'full' ? 0 : OTHERS }, (_, n) => questionOf(stage, shape, n + 1));
    const recorded = await recordAnswers(stage, [question], shape === 'twenty-commits');
    const askAll = async (ask: Ask, maxTimes = MAX_TIMES): Promise<readonly Sample[]> => {
      const first = await ask([question]);
      const running = others.length === 0 ? [] : [shared(await ask(others), others.length)];
      // The second demand is what makes an answer worth keeping.
      await ask([question], { times: 2 });
      const times = Math.min(maxTimes, Math.max(MIN_TIMES, Math.round(AGAIN_BYTES / (first.bytes ?? 1))));
      return [first, ...running, await ask([question], { times })];
    };
    return {
      parts: [
        'first after the start',
        ...(others.length === 0 ? [] : ['other commits for the first time']),
        'again and again',
      ],
      contestants: [
        { name: 'hotpack', run: () => withHotpack(stage, (ask) => askAll(ask)) },
        { name: 'git (its processes alone)', run: () => askAll(askGit(stage), MAX_TIMES_OF_GIT) },
        { name: 'the limit', run: () => withLimit(stage, recorded, (ask) => askAll(ask)) },
      ],
      goals: goalsOf(shape),
    };
  };
}

function goalsOf(shape: ShapeName): readonly Goal[] {
  const again = shape === 'full' ? 1 : 2;
  const firstTimes: readonly Goal[] = [
    { part: FIRST, what: 'ms', atMost: 1, against: GIT },
    { part: FIRST + 1, what: 'ms', atMost: 1, against: GIT },
  ];
  switch (shape) {
    case 'depth-1':
      return [
        { part: again, what: 'cpuMs', atMost: 1.5, against: LIMIT },
        { part: again, what: 'cpuMs', atMost: 0.1, against: GIT },
        { part: again, what: 'firstByteMs', atMost: 2, against: LIMIT },
        ...firstTimes,
        { part: FIRST, what: 'bytes', atMost: 1.05, against: GIT },
      ];
    case 'full':
      return [
        { part: again, what: 'ms', atMost: 1 / 0.7, against: LIMIT },
        { part: again, what: 'ms', atMost: 1 / 3, against: GIT },
        { part: again, what: 'cpuMs', atMost: 1.5, against: LIMIT },
      ];
    case 'blobless':
      return firstTimes;
    case 'twenty-commits':
      return [...firstTimes, { part: again, what: 'cpuMs', atMost: 0.05, against: GIT }];
  }
}

/** Of one question, where several were asked one after the other. */
function shared(sample: Sample, questions: number): Sample {
  if (questions === 0) return sample;
  const share = (value: number | undefined): number | undefined =>
    value === undefined ? undefined : value / questions;
  const { ms, cpuMs, firstByteMs, bytes } = sample;
  return {
    ...sample,
    ms: ms / questions,
    cpuMs: share(cpuMs),
    firstByteMs: share(firstByteMs),
    bytes: bytes === undefined ? undefined : Math.round(bytes / questions),
  };
}
