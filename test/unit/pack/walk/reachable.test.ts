import { describe, expect, it } from 'vitest';
import { commonHaves, isReady } from '../../../../src/pack/walk/negotiate.ts';
import { closure, missingFrom, reachesAll } from '../../../../src/pack/walk/reachable.ts';
import { ObjectPicture } from '../../../support/fetch-judge.ts';
import { gitSync, tryGit } from '../../../support/git.ts';
import { memoryObjectStore, readObjects } from '../../../support/memory-object-store.ts';
import { makeRandomHistory, seededRandom } from '../../../support/random-history.ts';

const signal = new AbortController().signal;
const none: ReadonlySet<string> = new Set();

function prepare(seed: number, skewedClocks: boolean) {
  const history = makeRandomHistory({ seed, commits: 40, skewedClocks });
  const all = readObjects(history.folder);
  return { history, all, picture: new ObjectPicture(all), store: memoryObjectStore(all, { cold: true }) };
}

describe('reachability', () => {
  it.each([
    [21, false],
    [22, true],
  ])('finds ancestors as merge-base --is-ancestor does (history %i)', async (seed, skewed) => {
    const { history, store } = prepare(seed, skewed);
    const random = seededRandom(seed);
    const pick = (): string => history.commits[Math.floor(random() * history.commits.length)] as string;
    for (let n = 0; n < 12; n++) {
      const tips = [pick(), pick()];
      const targets = [pick(), pick(), pick()];
      const reached = await reachesAll(store, { tips, targets }, { signal });
      const expected = new Set<string>();
      for (const target of targets) {
        for (const tip of tips) {
          const { code } = await tryGit(['merge-base', '--is-ancestor', target, tip], { cwd: history.folder });
          if (code === 0) expected.add(target);
        }
      }
      expect(reached).toEqual(expected);
    }
  });

  it('reaches tags as tips, and what they name', async () => {
    const { history, store } = prepare(23, false);
    for (const { tag, peeled } of history.tags) {
      const reached = await reachesAll(store, { tips: [tag], targets: [tag, peeled, 'd'.repeat(40)] }, { signal });
      expect(reached).toEqual(new Set([tag, peeled]));
    }
  });

  it('collects exactly the objects that rev-list lists', async () => {
    const { history, store } = prepare(24, true);
    for (const roots of [[history.commits.at(-1) as string], history.tags.map(({ tag }) => tag)]) {
      const reached = await closure(store, roots, { signal });
      const names = Array.from(reached.toNumbers(), (object) => store.oidOf(object));
      const listed = gitSync(['rev-list', '--objects', '--no-object-names', ...roots], { cwd: history.folder });
      expect(names).toEqual(listed.trim().split('\n').toSorted());
      expect(reached.count).toBe(names.length);
    }
  });

  it('names the first object that is lost, whatever its type', async () => {
    const { history, all, picture } = prepare(25, false);
    const tips = [history.commits.at(-1) as string, ...history.tags.map(({ tag }) => tag)];
    const needed = [...picture.closure(tips, none)];
    expect(await missingFrom(memoryObjectStore(all), tips, { signal })).toEqual({ complete: true });
    const types = new Set<number>();
    for (let n = 0; n < needed.length; n += 3) {
      const lost = needed[n] as string;
      types.add(picture.type(lost));
      const store = memoryObjectStore(all, { without: new Set([lost]) });
      const check = await missingFrom(store, tips, { signal });
      expect(check).toMatchObject({ complete: false, missing: lost });
      await expect(closure(store, tips, { signal })).rejects.toMatchObject({
        code: 'missing_object',
        detail: { missing: lost },
      });
    }
    expect([...types].toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4]);
  });
});

describe('negotiation', () => {
  it('keeps the haves that are here, in order', () => {
    const { history, store } = prepare(26, false);
    const [a, b] = history.commits as [string, string];
    expect(commonHaves(store, [b, 'c'.repeat(40), a])).toEqual([b, a]);
  });

  it('is ready when every want leads to a have or to the parent of one', async () => {
    const { history, picture, store } = prepare(27, false);
    const random = seededRandom(27);
    const pick = (): string => history.commits[Math.floor(random() * history.commits.length)] as string;
    let ready = 0;
    for (let n = 0; n < 200; n++) {
      const wants = [pick(), pick()];
      const common = random() < 0.1 ? [] : [pick(), pick()];
      const known = new Set(common.flatMap((commit) => [commit, ...picture.parents(commit)]));
      // In a history with right clocks the oldest have bounds the search without changing its outcome, but for
      // those that reach only a parent of the oldest have.
      const reaches = wants.map((want) => [...picture.closure([want], none)].some((oid) => known.has(oid)));
      const strictly = wants.map((want) => [...picture.closure([want], none)].some((oid) => common.includes(oid)));
      const answer = await isReady(store, { wants, common }, { signal });
      if (answer) ready++;
      const judgement = answer ? reaches.every(Boolean) : !strictly.every(Boolean);
      expect(judgement, `${wants.join(' ')} from ${common.join(' ')}`).toBe(true);
    }
    expect(ready).toBeGreaterThan(30);
    expect(ready).toBeLessThan(170);
  });

  it('never waits for the history of what has none', async () => {
    const { history, store } = prepare(28, false);
    const blob = history.tags.find(({ peeled }) => !history.commits.includes(peeled))?.peeled as string;
    const common = [history.commits[0] as string];
    expect(await isReady(store, { wants: [blob], common }, { signal })).toBe(true);
    expect(await isReady(store, { wants: [blob], common: [] }, { signal })).toBe(false);
  });
});
