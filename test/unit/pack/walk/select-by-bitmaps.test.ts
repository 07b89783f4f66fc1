import { describe, expect, it } from 'vitest';
import { openObjectStore } from '../../../../src/pack/reading/open-object-store.ts';
import type { ObjectFilter, SelectionQuery } from '../../../../src/pack/selection.ts';
import { createWalkCounters } from '../../../../src/pack/walk/contract.ts';
import { selectObjects } from '../../../../src/pack/walk/select-objects.ts';
import type { PackSource } from '../../../../src/pack/reading/packed-objects.ts';
import { bitmapOf, bitmappedHistory, packedInTwo, storeWithBitmap } from '../../../support/bitmapped-store.ts';
import { membersOf, namesOf, randomCase } from '../../../support/fetch-judge.ts';
import { gitSync } from '../../../support/git.ts';
import { addHistory, emptyRepository, packSources } from '../../../support/packed-repository.ts';
import { seededRandom } from '../../../support/random-history.ts';

const signal = new AbortController().signal;
const FILTERS: readonly { readonly spec: string; readonly filter: ObjectFilter }[] = [
  { spec: '', filter: { kind: 'none' } },
  { spec: 'blob:none', filter: { kind: 'blob-none' } },
  { spec: 'blob:limit=200', filter: { kind: 'blob-limit', bytes: 200 } },
  { spec: 'tree:0', filter: { kind: 'tree', depth: 0 } },
  { spec: 'tree:2', filter: { kind: 'tree', depth: 2 } },
  ...(['commit', 'tree', 'blob', 'tag'] as const).map((type) => ({
    spec: `object:type=${type}`,
    filter: { kind: 'object-type', type } as const,
  })),
];

const query = (parts: Partial<SelectionQuery> & Pick<SelectionQuery, 'wants'>): SelectionQuery => ({
  haves: [],
  shallows: [],
  deepen: { kind: 'none' },
  filter: { kind: 'none' },
  includeTags: [],
  thin: false,
  ...parts,
});

describe('selecting by bitmaps', () => {
  it.each([
    [41, false],
    [42, false],
    [43, true],
  ])('gives what walking gives, less what the client has (history %i)', async (seed, bitmappedLast) => {
    const { history, picture, fast, plain } = await bitmappedHistory(seed, { bitmappedLast });
    const random = seededRandom(seed);
    let clones = 0;
    let fetches = 0;
    while (clones + fetches < 120) {
      const one = randomCase({ history, picture, random, filters: FILTERS });
      if (one.query.deepen.kind !== 'none' || one.query.shallows.length > 0) continue;
      const ours = await selectObjects(fast, one.query, { signal });
      const walked = await selectObjects(plain, one.query, { signal });
      const sent = namesOf(fast, ours.objects);
      const walkedTo = namesOf(plain, walked.objects);
      expect([...ours.objects]).toEqual([...ours.objects].toSorted((a, b) => a - b));
      if (one.query.haves.length === 0) {
        clones++;
        // By number: an object that two packs hold goes by one of its numbers only.
        expect({ lines: one.lines, objects: [...ours.objects] }).toEqual({
          lines: one.lines,
          objects: [...walked.objects],
        });
        continue;
      }
      fetches++;
      // What is left out the client has; what a walk sends besides is nothing else. A tag may come along all the same.
      const left = [...walkedTo].filter((oid) => !sent.has(oid) && !one.client.has(oid) && !isTagOf(one.query, oid));
      const extra = [...sent].filter((oid) => !walkedTo.has(oid));
      expect({ lines: one.lines, left, extra }).toEqual({ lines: one.lines, left: [], extra: [] });
      for (const base of namesOf(fast, membersOf(fast, ours.clientHas))) {
        expect(one.client.has(base)).toBe(true);
        expect(sent.has(base)).toBe(false);
      }
      for (const base of namesOf(plain, membersOf(plain, walked.clientHas)))
        expect(namesOf(fast, membersOf(fast, ours.clientHas))).toContain(base);
    }
    expect(clones).toBeGreaterThan(10);
    expect(fetches).toBeGreaterThan(40);
  });

  it('reads no commit and no tree for a clone of bitmapped tips, whatever types are left out', async () => {
    const { history, fast } = await bitmappedHistory(44, { bitmappedLast: false });
    const wants = [history.commits[44] as string, history.commits[43] as string];
    for (const { filter, spec } of FILTERS.filter(
      (one) => one.spec !== 'tree:2' && !one.spec.startsWith('blob:limit'),
    )) {
      const counters = createWalkCounters();
      const { inflated } = fast.counters;
      const { objects } = await selectObjects(fast, query({ wants, filter }), { signal, counters });
      expect({ spec, ...counters }).toEqual({ spec, commitsRead: 0, treesRead: 0, tagsRead: 0, sizesAsked: 0 });
      expect(fast.counters.inflated).toBe(inflated);
      expect(objects.length).toBeGreaterThan(0);
    }
  });

  it('reads only the trees of new commits for a fetch on top of a bitmapped tip', async () => {
    const { history, picture, fast } = await bitmappedHistory(45, { bitmappedLast: false });
    const [have, want] = [history.commits[44] as string, history.commits.at(-1) as string];
    const counters = createWalkCounters();
    const { objects, clientHas } = await selectObjects(fast, query({ wants: [want], haves: [have], thin: true }), {
      signal,
      counters,
    });
    const old = picture.closure(history.commits.slice(0, 45), new Set());
    const beyond = [...picture.closure([want], new Set())].filter((oid) => !old.has(oid));
    expect(counters.treesRead).toBe(beyond.filter((oid) => picture.type(oid) === 2).length);
    const had = picture.closure([have], new Set());
    expect(namesOf(fast, objects)).toEqual(
      new Set([...picture.closure([want], new Set())].filter((oid) => !had.has(oid))),
    );
    expect(namesOf(fast, membersOf(fast, clientHas))).toEqual(had);
  });

  it.each([
    ['are old', true],
    ['are new', false],
  ])(
    'beyond 200 commits whose trees %s looks for all that the client has only where that is cheap',
    async (_, isCheap) => {
      const folder = emptyRepository('far');
      addHistory(folder, { commits: 300 });
      const chain = (count: number): string[] =>
        gitSync(['rev-list', '--first-parent', `--max-count=${count}`, 'main'], { cwd: folder })
          .trim()
          .split('\n');
      const early = chain(300);
      gitSync(['repack', '-adq'], { cwd: folder });
      const [old] = packSources(folder) as [PackSource];
      if (isCheap) commitAgain(folder, 200);
      else addHistory(folder, { commits: 200, start: 300 });
      gitSync(['repack', '-dq'], { cwd: folder });
      const later = packSources(folder).filter(({ name }) => name !== old.name);
      const built = await bitmapOf(old, early);
      if (built.kind !== 'built') throw new Error(built.kind);
      const store = storeWithBitmap([old, ...later], built.file);
      const [want, , , , , have] = chain(6) as [string, string, string, string, string, string];
      const counters = createWalkCounters();
      const { objects } = await selectObjects(store, query({ wants: [want], haves: [have] }), { signal, counters });
      const sent = [...namesOf(store, objects)];
      const commits = new Set(chain(5));
      expect(sent.filter((oid) => commits.has(oid))).toHaveLength(5);
      expect(sent.length === 5).toBe(isCheap);
      // Where it is not, those of what is wanted and of the client's edge: not of 200 commits.
      if (isCheap) expect(counters.treesRead).toBe(0);
      else expect(counters.treesRead).toBeLessThan(50);
    },
  );

  it.each([
    ['absent', undefined],
    ['damaged', new Uint8Array(400)],
  ])('walks where the bitmap is %s', async (_, file) => {
    const { history } = await bitmappedHistory(47, { bitmappedLast: false });
    const { old } = packedInTwo(history, 45);
    const store = storeWithBitmap([old], file);
    const counters = createWalkCounters();
    const wants = [history.commits[44] as string];
    const { objects } = await selectObjects(store, query({ wants }), { signal, counters });
    expect(objects.length).toBeGreaterThan(0);
    expect(counters.treesRead).toBeGreaterThan(0);
  });

  it('walks where the bitmap cannot be read, and looks again the next time', async () => {
    const { history } = await bitmappedHistory(48, { bitmappedLast: false });
    const { old } = packedInTwo(history, 45);
    const built = await bitmapOf(old, [history.commits[44] as string]);
    const file = built.kind === 'built' ? built.file : undefined;
    let attempts = 0;
    const readBitmap = async (): Promise<Uint8Array | undefined> => {
      await Promise.resolve();
      if (attempts++ === 0) throw new Error('the medium does not answer');
      return file;
    };
    const store = openObjectStore({ packs: [old], cacheBytes: 1 << 20, bitmap: { read: readBitmap, closedPacks: 1 } });
    const wants = [history.commits[44] as string];
    for (const isRead of [false, true]) {
      const counters = createWalkCounters();
      await selectObjects(store, query({ wants }), { signal, counters });
      expect(counters.treesRead === 0).toBe(isRead);
    }
  });
});

function isTagOf(asked: SelectionQuery, oid: string): boolean {
  return asked.includeTags.some(({ tag }) => tag === oid);
}

/** `count` commits on main, whose trees are those that its history had before, in turn. */
function commitAgain(folder: string, count: number): void {
  const trees = gitSync(['log', '--format=%T', 'main'], { cwd: folder }).trim().split('\n');
  const who = (n: number): string => `committer Ada <ada@example.com> ${1_700_000_000 + n} +0000`;
  const commits = Array.from({ length: count }, (_, n) => {
    const from = n === 0 ? 'from refs/heads/main^0\n' : '';
    return `commit refs/heads/main\n${who(n)}\ndata 0\n${from}M 040000 ${trees[n % trees.length]} \n`;
  });
  gitSync(['fast-import', '--quiet'], { cwd: folder, input: commits.join('\n') });
}
