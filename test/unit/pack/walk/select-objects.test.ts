import { describe, expect, it } from 'vitest';
import { createWalkCounters } from '../../../../src/pack/walk/contract.ts';
import { selectObjects } from '../../../../src/pack/walk/select-objects.ts';
import type { ObjectFilter, SelectionQuery } from '../../../../src/pack/selection.ts';
import type { ObjectStore } from '../../../../src/pack/object-store.ts';
import {
  type CaseOptions,
  type FetchCase,
  lackingAfter,
  membersOf,
  namesOf,
  ObjectPicture,
  randomCase,
} from '../../../support/fetch-judge.ts';
import { gitSync } from '../../../support/git.ts';
import { memoryObjectStore, readObjects } from '../../../support/memory-object-store.ts';
import { makeRandomHistory, seededRandom } from '../../../support/random-history.ts';
import { askUploadPack } from '../../../support/upload-pack.ts';

const signal = new AbortController().signal;
const NO_FILTER: CaseOptions['filters'] = [{ spec: '', filter: { kind: 'none' } }];
const FILTERS: CaseOptions['filters'] = [
  { spec: 'blob:none', filter: { kind: 'blob-none' } },
  { spec: 'blob:limit=200', filter: { kind: 'blob-limit', bytes: 200 } },
  ...[0, 1, 2, 3].map((depth) => ({ spec: `tree:${depth}`, filter: { kind: 'tree', depth } as const })),
  ...(['commit', 'tree', 'blob', 'tag'] as const).map((type) => ({
    spec: `object:type=${type}`,
    filter: { kind: 'object-type', type } as const,
  })),
  {
    spec: 'combine:blob:none+tree:2',
    filter: { kind: 'combine', parts: [{ kind: 'blob-none' }, { kind: 'tree', depth: 2 }] },
  },
  {
    spec: 'combine:tree:3+blob:limit=100',
    filter: {
      kind: 'combine',
      parts: [
        { kind: 'tree', depth: 3 },
        { kind: 'blob-limit', bytes: 100 },
      ],
    },
  },
];
const PATTERNS = [
  '/*\n!/*/\n',
  'a/\n!a/b/\n/a/b/c\n',
  '*.c\n!/d/*.c\r\n# a comment\n\\#x\n',
  'a/**/f[0-2].*\n/d/b/f?.txt\n**/moved*\n',
  '!*\n',
  '*\n!f1.h\n!e-e\n',
  '[[:alpha:]][!3-9].t*t  \na*/b/**\n',
];

function prepare(seed: number, skewedClocks: boolean) {
  const history = makeRandomHistory({ seed, commits: 50, skewedClocks });
  const sparse = PATTERNS.map((input) => {
    const oid = gitSync(['hash-object', '-w', '--stdin'], { cwd: history.folder, input }).trim();
    return { spec: `sparse:oid=${oid}`, filter: { kind: 'sparse-oid', oid } as ObjectFilter };
  });
  const all = readObjects(history.folder);
  return { history, sparse, picture: new ObjectPicture(all), store: memoryObjectStore(all, { cold: true }) };
}

function query(parts: Partial<SelectionQuery> & Pick<SelectionQuery, 'wants'>): SelectionQuery {
  return {
    haves: [],
    shallows: [],
    deepen: { kind: 'none' },
    filter: { kind: 'none' },
    includeTags: [],
    thin: false,
    ...parts,
  };
}

async function select(store: ObjectStore, asked: SelectionQuery) {
  try {
    const selection = await selectObjects(store, asked, { signal });
    return { kind: 'pack' as const, selection, objects: namesOf(store, selection.objects) };
  } catch (error) {
    return { kind: 'refused' as const, error };
  }
}

const without = (all: ReadonlySet<string>, other: ReadonlySet<string>): string[] =>
  [...all].filter((oid) => !other.has(oid));

/** What the client has, and tags of that: git adds the tag of a blob that is merely a base of a delta. */
function canHave(one: FetchCase, oid: string): boolean {
  if (one.client.has(oid)) return true;
  return one.query.includeTags.some(({ tag, peeled }) => tag === oid && one.client.has(peeled));
}

describe('selectObjects, judged by upload-pack', () => {
  it.each([
    [1, false],
    [2, false],
    [3, true],
    [4, true],
  ])('answers fetches of history %i (wrong clocks: %s) with its boundary and its objects', async (seed, skewed) => {
    const { history, picture, store } = prepare(seed, skewed);
    const random = seededRandom(seed);
    let equal = 0;
    let packs = 0;
    for (let n = 0; n < 60; n++) {
      const one = randomCase({ history, picture, random, filters: NO_FILTER });
      const theirs = askUploadPack(history.folder, one.lines);
      const ours = await select(store, one.query);
      expect({ lines: one.lines, kind: ours.kind }).toEqual({ lines: one.lines, kind: theirs.kind });
      if (ours.kind !== 'pack' || theirs.kind !== 'pack') continue;
      packs++;
      const { shallow, unshallow, clientHas } = ours.selection;
      expect({ lines: one.lines, shallow, unshallow }).toEqual({
        lines: one.lines,
        shallow: theirs.shallow,
        unshallow: theirs.unshallow,
      });
      expect(lackingAfter(picture, one, { ...ours, shallow, unshallow })).toEqual([]);
      // git marks the edge in the order of a hash table and passes over haves that are parents of haves: either
      // side may send again what the client has, and nothing else.
      const differing = [...without(ours.objects, theirs.objects), ...without(theirs.objects, ours.objects)];
      const unexplained = differing.filter((oid) => !canHave(one, oid));
      expect({ lines: one.lines, unexplained }).toEqual({ lines: one.lines, unexplained: [] });
      if (differing.length === 0) equal++;
      for (const base of namesOf(store, membersOf(store, clientHas))) {
        expect(one.client.has(base)).toBe(true);
        expect(ours.objects.has(base)).toBe(false);
      }
    }
    expect(packs).toBeGreaterThan(50);
    expect(equal / packs).toBeGreaterThan(0.9);
  });

  it.each([
    [11, false],
    [12, true],
  ])('keeps what the filter keeps of history %i', async (seed, skewed) => {
    const { history, picture, store, sparse } = prepare(seed, skewed);
    const random = seededRandom(seed);
    let equal = 0;
    let packs = 0;
    for (let n = 0; n < 80; n++) {
      const one = randomCase({ history, picture, random, filters: [...FILTERS, ...sparse] });
      const theirs = askUploadPack(history.folder, one.lines);
      const ours = await select(store, one.query);
      expect({ lines: one.lines, kind: ours.kind }).toEqual({ lines: one.lines, kind: theirs.kind });
      if (ours.kind !== 'pack' || theirs.kind !== 'pack') continue;
      packs++;
      expect(membersOf(store, ours.selection.clientHas)).toHaveLength(0);
      const lost = without(theirs.objects, ours.objects);
      const missed = lost.filter((oid) => !canHave(one, oid));
      // A combination in git forgets an object that one part has passed where another has not; ours does not.
      const extra =
        one.query.filter.kind === 'combine'
          ? []
          : without(ours.objects, theirs.objects).filter((oid) => !canHave(one, oid));
      expect({ lines: one.lines, missed, extra }).toEqual({ lines: one.lines, missed: [], extra: [] });
      if (lost.length === 0 && ours.objects.size === theirs.objects.size) equal++;
    }
    expect(equal / packs).toBeGreaterThan(0.9);
  });
});

describe('selectObjects', () => {
  it('looks only into the tip and its trees for a depth of 1', async () => {
    const { history, picture, store } = prepare(5, false);
    const tip = history.commits.at(-1) as string;
    const counters = createWalkCounters();
    const asked = query({ wants: [tip], deepen: { kind: 'depth', depth: 1, relative: false } });
    const { shallow } = await selectObjects(store, asked, { signal, counters });
    const trees = [...picture.closure([tip], new Set([tip]))].filter((oid) => picture.type(oid) === 2);
    expect(counters).toEqual({ commitsRead: 1, treesRead: trees.length, tagsRead: 0, sizesAsked: 0 });
    expect(shallow).toEqual([tip]);
  });

  it('does work in proportion to what is new', async () => {
    const { history, store } = prepare(6, false);
    const tip = history.commits.at(-1) as string;
    const parent = gitSync(['rev-parse', `${tip}^`], { cwd: history.folder }).trim();
    const counters = createWalkCounters();
    await selectObjects(store, query({ wants: [tip], haves: [parent], thin: true }), { signal, counters });
    expect(counters.commitsRead).toBeLessThan(12);
    expect(counters.treesRead).toBeLessThan(16);
  });

  it('says what is absent and what is aborted', async () => {
    const { history, store } = prepare(7, false);
    const tip = history.commits.at(-1) as string;
    const absent = 'e'.repeat(40);
    await expect(selectObjects(store, query({ wants: [absent] }), { signal })).rejects.toMatchObject({
      code: 'not_our_ref',
      detail: { object: absent },
    });
    const sparse = (oid: string) => query({ wants: [tip], filter: { kind: 'sparse-oid', oid } });
    await expect(selectObjects(store, sparse(absent), { signal })).rejects.toMatchObject({ code: 'not_our_ref' });
    await expect(selectObjects(store, sparse(tip), { signal })).rejects.toMatchObject({ code: 'unsupported' });
    const aborted = AbortSignal.abort();
    await expect(selectObjects(store, query({ wants: [tip] }), { signal: aborted })).rejects.toMatchObject({
      code: 'aborted',
    });
  });

  it('names the referrer of an object that the store has lost', async () => {
    const { history } = prepare(8, false);
    const tip = history.commits.at(-1) as string;
    const tree = gitSync(['rev-parse', `${tip}^{tree}`], { cwd: history.folder }).trim();
    const store = memoryObjectStore(readObjects(history.folder), { without: new Set([tree]) });
    await expect(selectObjects(store, query({ wants: [tip] }), { signal })).rejects.toMatchObject({
      code: 'missing_object',
      detail: { referredToBy: tip },
    });
  });
});
