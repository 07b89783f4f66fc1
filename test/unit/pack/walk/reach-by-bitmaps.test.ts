import { describe, expect, it } from 'vitest';
import { createWalkCounters } from '../../../../src/pack/walk/contract.ts';
import { isReady } from '../../../../src/pack/walk/negotiate.ts';
import { closure } from '../../../../src/pack/walk/reachable.ts';
import { bitmappedHistory } from '../../../support/bitmapped-store.ts';
import { namesOf } from '../../../support/fetch-judge.ts';
import { seededRandom } from '../../../support/random-history.ts';

const signal = new AbortController().signal;
const none: ReadonlySet<string> = new Set();

describe('reachability by bitmaps', () => {
  it.each([
    [51, false],
    [52, true],
  ])('collects exactly what walking collects (history %i)', async (seed, bitmappedLast) => {
    const { history, picture, fast, plain } = await bitmappedHistory(seed, { bitmappedLast });
    const tags = history.tags.map(({ tag }) => tag).filter((tag) => fast.find(tag) >= 0);
    const [last, older] = [history.commits.at(-1) as string, history.commits[20] as string];
    for (const roots of [[last], [older], [last, older, ...tags]]) {
      const reached = await closure(fast, roots, { signal });
      expect(reached.toNumbers()).toEqual((await closure(plain, roots, { signal })).toNumbers());
      expect(namesOf(fast, reached.toNumbers())).toEqual(picture.closure(roots, none));
    }
    const counters = createWalkCounters();
    await closure(fast, [older], { signal, counters });
    expect(counters).toEqual({ commitsRead: 0, treesRead: 0, tagsRead: 0, sizesAsked: 0 });
    await expect(closure(fast, ['e'.repeat(40)], { signal })).rejects.toMatchObject({ code: 'missing_object' });
  });

  it.each([
    [53, false],
    [54, true],
  ])('is ready exactly where each want leads to what is common (history %i)', async (seed, bitmappedLast) => {
    const { history, picture, fast } = await bitmappedHistory(seed, { bitmappedLast });
    const random = seededRandom(seed);
    const pick = (): string => history.commits[Math.floor(random() * history.commits.length)] as string;
    const answers = new Set<boolean>();
    for (let n = 0; n < 60; n++) {
      const wants = [pick(), pick()];
      const common = [pick()];
      const leads = [...common, ...common.flatMap((oid) => picture.parents(oid))];
      const expected = wants.every((want) => {
        const reached = picture.closure([want], none);
        return leads.some((oid) => reached.has(oid));
      });
      const ready = await isReady(fast, { wants, common }, { signal });
      // A walk looks no further back than the oldest have, and may give up under wrong clocks where a set does not.
      if (seed === 53) expect({ wants, common, ready }).toEqual({ wants, common, ready: expected });
      else if (ready) expect(expected).toBe(true);
      answers.add(ready);
    }
    expect(answers.size).toBe(2);
    const counters = createWalkCounters();
    const query = { wants: [history.commits[40] as string], common: [history.commits[2] as string] };
    await isReady(fast, query, { signal, counters });
    expect(counters.commitsRead).toBeLessThan(3);
  });
});
