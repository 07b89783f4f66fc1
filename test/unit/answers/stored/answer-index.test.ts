import { expect, test } from 'vitest';
import { AnswerIndex, type IndexEntry } from '../../../../src/answers/stored/answer-index.ts';

/** An index of at most 1,000 bytes with entries of given bytes and costs. */
function createIndex(...entries: readonly (readonly [key: string, bytes: number, costUs: number])[]): {
  readonly index: AnswerIndex;
  readonly entry: (key: string) => IndexEntry;
} {
  const index = new AnswerIndex(1_000);
  for (const [key, bytes, costUs] of entries) {
    const entry = index.add({ key, bytes });
    entry.costUs = costUs;
    index.touch(entry);
  }
  return { index, entry: (key) => index.get(key) as IndexEntry };
}

const keys = (entries: readonly IndexEntry[]): string[] => entries.map((entry) => entry.key);

test('what was cheap for its size goes first', () => {
  const { index } = createIndex(['dear', 300, 3_000], ['cheap', 300, 30], ['small', 100, 900]);
  expect(keys(index.makeRoom(400))).toEqual(['cheap']);
  expect(index.bytes).toBe(400);
});

test('of equals the one used longest ago goes, and no more than must', () => {
  const { index, entry } = createIndex(['a', 300, 300], ['b', 300, 300], ['c', 300, 300]);
  index.touch(entry('a'));
  expect(keys(index.makeRoom(200))).toEqual(['b']);
  expect(keys(index.makeRoom(200))).toEqual([]);
});

test('what was dear in its time does not stay for ever', () => {
  const { index } = createIndex(['dear', 500, 5_000]);
  let gone: string[] = [];
  for (let n = 0; n < 40 && !gone.includes('dear'); n++) {
    gone = [...gone, ...keys(index.makeRoom(400))];
    const next = index.add({ key: `new-${n}`, bytes: 400 });
    next.costUs = 400;
    index.touch(next);
  }
  expect(gone).toContain('dear');
});

test('what is being read stays', () => {
  const { index, entry } = createIndex(['read', 500, 5], ['other', 400, 4_000]);
  entry('read').readers = 1;
  expect(keys(index.makeRoom(300))).toEqual(['other']);
});

test('what nobody has asked for yet takes the place of what is worth less and was not used within the hour', () => {
  let nowMs = 10_000_000;
  const index = new AnswerIndex(1_600, () => nowMs);
  const add = (key: string, bytes: number, costUs: number): void => {
    const entry = index.add({ key, bytes });
    entry.costUs = costUs;
    index.touch(entry);
  };
  add('cheap', 40, 4);
  add('used', 300, 30);
  add('dear', 1_260, 60_000);
  const makeRoom = (bytes: number): string[] | undefined => {
    const gone = index.makeRoomFor({ bytes, costUs: bytes });
    return gone && keys(gone);
  };
  expect(makeRoom(30)).toBeUndefined();
  nowMs += 3_600_001;
  // More than one of its kind may take.
  expect([makeRoom(110), index.bytes]).toEqual([undefined, 1_600]);
  index.touch(index.get('used') as IndexEntry);
  expect([makeRoom(40), index.bytes]).toEqual([['cheap'], 1_560]);
  expect([makeRoom(40), makeRoom(41)]).toEqual([[], undefined]);
  nowMs += 3_600_001;
  (index.get('used') as IndexEntry).readers = 1;
  expect(makeRoom(41)).toBeUndefined();
  (index.get('used') as IndexEntry).readers = 0;
  expect(makeRoom(41)).toEqual(['used']);
});

test('what an earlier process has left was used when it was stored', () => {
  const nowMs = 10_000_000;
  const index = new AnswerIndex(1_600, () => nowMs);
  index.add({ key: 'old', bytes: 800, modifiedAtMs: nowMs - 3_600_001 });
  index.add({ key: 'new', bytes: 800, modifiedAtMs: nowMs - 1_000 });
  expect(keys(index.makeRoomFor({ bytes: 100, costUs: 400 }) ?? [])).toEqual(['old']);
});

test('variants are found by the key that they share, and the sum of bytes is exact', () => {
  const { index, entry } = createIndex(['r/k-1', 100, 1], ['r/k-2', 100, 1], ['r/other', 100, 1]);
  expect(keys([...index.variantsOf('r/k')])).toEqual(['r/k-1', 'r/k-2']);
  index.add({ key: 'r/k-1', bytes: 50 });
  expect(index.bytes).toBe(250);
  expect([index.remove(entry('r/k-2')), index.bytes, index.variantsOf('r/k').size]).toEqual([true, 150, 1]);
  expect(index.keysBelow('r/k')).toEqual(['r/k-1']);
});
