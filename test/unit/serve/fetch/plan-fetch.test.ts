import { describe, expect, test } from 'vitest';
import { createFetchRequest } from '../../../../src/protocol/fetch/create-fetch-request.ts';
import type { FetchRequest } from '../../../../src/protocol/fetch-request.ts';
import type { FetchPlan, FetchState } from '../../../../src/serve/fetch/plan-fetch.ts';
import { annotatedTags, NO_TAGS } from '../../../../src/serve/fetch/annotated-tags.ts';
import { dependsOnRefs, isCloneLike, planFetch } from '../../../../src/serve/fetch/plan-fetch.ts';

const oid = (digit: string): string => digit.repeat(40);
const [a, b, c, gone] = ['a', 'b', 'c', 'f'].map(oid) as [string, string, string, string];

const refs = {
  head: { kind: 'symref' as const, target: 'refs/heads/main', oid: a },
  refs: [
    { name: 'refs/heads/main', oid: a },
    { name: 'refs/heads/both', oid: a },
    { name: 'refs/remotes/both', oid: b },
    { name: 'refs/tags/both', oid: b },
    { name: 'refs/tags/light', oid: b },
    { name: 'refs/tags/v1', oid: c, peeled: a },
    { name: 'refs/tags/v2', oid: gone, peeled: b },
  ],
};
const isHere = (name: string): boolean => name !== gone;
const here: FetchState = { isHere, refs, tags: () => annotatedTags(refs, { find: (name) => (isHere(name) ? 0 : -1) }) };
const unknown: FetchState = { isHere, refs: undefined, tags: () => NO_TAGS };
const ask = (change: Partial<FetchRequest> = {}): FetchRequest => ({
  ...createFetchRequest({ wants: [a], haves: [] }),
  ...change,
});
const revs = (...notRefs: string[]): Partial<FetchRequest> => ({
  deepen: { kind: 'revs', sinceSeconds: 7, notRefs },
});

test.each<[string, Partial<FetchRequest>, Partial<FetchPlan> | { query: object }]>([
  ['wants that are here', {}, { kind: 'select', query: { wants: [a] } }],
  ['a want that is not', { wants: [a, gone] }, { kind: 'obtain', missing: [gone] }],
  ['tags, of which one is not here', { includeTag: true }, { kind: 'select', lackingTags: [gone] }],
  ['no tags', {}, { kind: 'select', lackingTags: [] }],
  ['haves that are not', { haves: [gone] }, { kind: 'select', query: { haves: [gone] } }],
  ['a want-ref', { wants: [], wantRefs: ['refs/tags/light'] }, { kind: 'select', query: { wants: [b] } }],
  ['a want-ref of HEAD', { wants: [], wantRefs: ['HEAD'] }, { kind: 'select', query: { wants: [a] } }],
  ['a want-ref and a want of one object', { wantRefs: ['refs/heads/main'] }, { kind: 'select', query: { wants: [a] } }],
  ['a want-ref that is not here', { wantRefs: ['refs/tags/v2'] }, { kind: 'obtain', missing: [gone] }],
  ['a want-ref that does not exist', { wantRefs: ['refs/heads/no'] }, { kind: 'unknown-ref', name: 'refs/heads/no' }],
  ['a want-ref in short', { wantRefs: ['main'] }, { kind: 'unknown-ref', name: 'main' }],
  ['a depth', { deepen: { kind: 'depth', depth: 1, relative: false } }, { kind: 'select' }],
  ['deepen-not of a tag in short', revs('light'), { query: { deepen: { kind: 'revs', sinceSeconds: 7, not: [b] } } }],
  [
    'deepen-not of a full name',
    revs('refs/heads/main'),
    { query: { deepen: { kind: 'revs', sinceSeconds: 7, not: [a] } } },
  ],
  ['deepen-not of no ref', revs('no'), { kind: 'pass-through', why: 'foreign' }],
  ['deepen-not of more than one object', revs('both'), { kind: 'pass-through', why: 'foreign' }],
  ['deepen-not of what is not here', revs('v2'), { kind: 'obtain', missing: [gone] }],
  ['sparse:oid that is here', { filter: { kind: 'sparse-oid', oid: b } }, { kind: 'select' }],
  ['sparse:oid that is not', { filter: { kind: 'sparse-oid', oid: gone } }, { kind: 'obtain', missing: [gone] }],
  [
    'a filter that only upstream knows',
    { filter: { kind: 'unsupported', text: 'x' } },
    { kind: 'pass-through', why: 'foreign' },
  ],
  ['server options', { serverOptions: ['x'] }, { kind: 'pass-through', why: 'foreign' }],
  ['packfile-uris', { packfileUris: ['https'] }, { kind: 'pass-through', why: 'foreign' }],
  ['include-tag', { includeTag: true }, { query: { includeTags: [{ tag: c, peeled: a }] } }],
  ['no include-tag', {}, { query: { includeTags: [] } }],
  ['thin-pack', { thinPack: true }, { query: { thin: true } }],
])('%s', (_, change, plan) => {
  expect(planFetch(ask(change), here)).toMatchObject(plan);
});

describe('without a mirror', () => {
  test.each<[Partial<FetchRequest>, string]>([
    [{}, 'cold'],
    [{ wantRefs: ['refs/heads/no'] }, 'cold'],
    [{ filter: { kind: 'unsupported', text: 'x' } }, 'foreign'],
  ])('%j passes through', (change, why) => {
    expect(planFetch(ask(change), { ...here, isHere: undefined })).toEqual({ kind: 'pass-through', why });
  });
});

test('without refs names mean nothing, and objects are right all the same', () => {
  expect(planFetch(ask(), unknown).kind).toBe('select');
  expect(planFetch(ask({ wantRefs: ['HEAD'] }), unknown).kind).toBe('unknown-ref');
  expect(planFetch(ask({ includeTag: true }), unknown)).toMatchObject({
    query: { includeTags: [] },
  });
});

test('which answers move with refs, and which requests are clones', () => {
  expect(
    [{}, { includeTag: true }, revs(), { wantRefs: ['HEAD'] }, revs('v1')].map((one) => dependsOnRefs(ask(one))),
  ).toEqual([false, false, false, true, true]);
  const clone = { done: true };
  const others = [{ done: false }, { haves: [a] }, { shallows: [a] }];
  expect(isCloneLike(ask(clone))).toBe(true);
  expect(others.map((one) => isCloneLike(ask({ ...clone, ...one })))).toEqual([false, false, false]);
});
